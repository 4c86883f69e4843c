package mesh

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	// statusPort is the port on which every Envoy reports whether it is ready, whatever its
	// configuration from istiod is.
	statusPort = 15021
	// noTranslation is the label of a Service that istiod ignores when it translates the ports of a
	// gateway.
	noTranslation = "experimental.istio.io/disable-gateway-port-translation"
)

// Config is an object of Istio's kind Gateway: it defines the servers of gateways with certain
// labels.
type Config struct {
	types.NamespacedName

	// Selector are labels of the gateways' pods; none means all gateways.
	Selector map[string]string
	Servers  []ConfigPort
}

// ConfigPort is the port of a server of a Config.
type ConfigPort struct {
	// Number is a port of the gateway's Service, not of its pods.
	Number int32
	// Protocol is HTTP, HTTPS, TCP and so on.
	Protocol string
}

// listeners returns the servers of configs that Envoy serves in a gateway's pod, by the port on
// which it listens.
//
// istiod takes the number of a server for a port of a Service of the gateway, and has Envoy listen
// on the target of that port. If several Services have the port, the oldest decides. Source: istio
// 1.25 to 1.31, pilot/pkg/model/gateway.go, resolvePorts, and push_context.go, mergeGateways; the
// cluster-wide view of Gateways is the default of PILOT_SCOPE_GATEWAY_TO_NAMESPACE.
func listeners(pod *corev1.Pod, services []*corev1.Service, configs []Config) map[int32][]served {
	ports := translations(pod, services)
	found := map[int32][]served{}
	for _, config := range configs {
		if !selects(config.Selector, pod.Labels) {
			continue
		}
		for _, server := range config.Servers {
			number := server.Number
			if target, ok := ports[number]; ok {
				number = target
			}
			found[number] = append(found[number], served{config.NamespacedName, server.Protocol})
		}
	}
	return found
}

// served is a server of a Config behind a listener.
type served struct {
	config   types.NamespacedName
	protocol string
}

// translations returns the ports of Services that istiod knows for a pod, each with its target in
// the pod.
func translations(pod *corev1.Pod, services []*corev1.Service) map[int32]int32 {
	var of []*corev1.Service
	for _, service := range services {
		_, optedOut := service.Labels[noTranslation] // whatever its value
		if !optedOut && service.Namespace == pod.Namespace && len(service.Spec.Selector) > 0 && selects(service.Spec.Selector, pod.Labels) {
			of = append(of, service)
		}
	}
	// pilot/pkg/model/context.go, SetServiceTargets: by time of creation, which has whole seconds,
	// then by host name.
	slices.SortStableFunc(of, func(a, b *corev1.Service) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(hostname(a), hostname(b)))
	})
	found := map[int32]int32{}
	for _, service := range of {
		for _, port := range service.Spec.Ports {
			target, ok := TargetPort(pod, port)
			if _, decided := found[port.Port]; ok && !decided {
				found[port.Port] = target
			}
		}
	}
	return found
}

func hostname(service *corev1.Service) string {
	return service.Name + "." + service.Namespace + ".svc.cluster.local"
}

// TargetPort returns the port of a pod to which a port of a Service leads; a name may have no such
// port.
func TargetPort(pod *corev1.Pod, port corev1.ServicePort) (number int32, ok bool) {
	switch {
	case port.TargetPort.Type == intstr.Int && port.TargetPort.IntVal == 0: // as without the API server's defaults
		return port.Port, true
	case port.TargetPort.Type == intstr.Int:
		return port.TargetPort.IntVal, true
	}
	for _, container := range pod.Spec.Containers {
		for _, named := range container.Ports {
			sameProtocol := cmp.Or(named.Protocol, corev1.ProtocolTCP) == cmp.Or(port.Protocol, corev1.ProtocolTCP)
			if named.Name == port.TargetPort.StrVal && sameProtocol {
				return named.ContainerPort, true
			}
		}
	}
	return 0, false
}

func selects(selector, of map[string]string) bool {
	return labels.SelectorFromSet(selector).Matches(labels.Set(of))
}

// plain says whether a server takes HTTP without TLS.
func plain(protocol string) bool {
	return slices.Contains([]string{"HTTP", "HTTP2", "GRPC", "GRPC-WEB"}, strings.ToUpper(protocol))
}
