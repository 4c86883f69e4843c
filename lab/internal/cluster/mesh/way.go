package mesh

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Cluster has the objects that decide where a request from outside ends.
type Cluster struct {
	Services []*corev1.Service
	// Pods must include those of the gateways.
	Pods []*corev1.Pod
	// Configs are Istio's Gateways of all namespaces.
	Configs []Config
}

// Arrival describes the fate of requests to one address and port.
type Arrival struct {
	// Share is the part of them, 0 to 1, that reaches an Envoy.
	Share float64
	// Configs are the Gateways of Istio that serve the requests there, sorted. There are none on
	// the port that only reports whether Envoy is ready.
	Configs []types.NamespacedName
	// Lost says why the other requests are lost; it is nil if there are none.
	Lost error
}

// Arrive follows plain HTTP requests from the frontend of a load balancer to the port of a Service,
// from there to the target port in the Service's ready pods, and to the listener on that port. A
// port on which Envoy does not listen resets the connection.
func (c Cluster) Arrive(address string, port int32) Arrival {
	service, entry, err := c.frontend(address, port)
	if err != nil {
		return Arrival{Lost: err}
	}
	return c.through(service, entry)
}

// Call follows requests of a pod to a Service, by its name, at one of its ports.
func (c Cluster) Call(of types.NamespacedName, port int32) Arrival {
	for _, service := range c.Services {
		if service.Namespace != of.Namespace || service.Name != of.Name {
			continue
		}
		for _, entry := range service.Spec.Ports {
			if entry.Port == port && entry.Protocol != corev1.ProtocolUDP {
				return c.through(service, entry)
			}
		}
		return Arrival{Lost: fmt.Errorf("%s has no port %d", named(service), port)}
	}
	return Arrival{Lost: fmt.Errorf("there is no Service %s", of)}
}

// through spreads requests to a port of a Service over its pods.
func (c Cluster) through(service *corev1.Service, entry corev1.ServicePort) Arrival {
	var lost []error
	pods, taken := 0, 0
	configs := map[types.NamespacedName]bool{}
	for _, pod := range c.Pods {
		selected := len(service.Spec.Selector) > 0 && selects(service.Spec.Selector, pod.Labels)
		if pod.Namespace != service.Namespace || !selected || !Ready(pod) {
			continue
		}
		pods++
		found, err := c.answer(pod, service, entry)
		if err != nil {
			lost = append(lost, err)
			continue
		}
		taken++
		for _, config := range found {
			configs[config] = true
		}
	}
	if pods == 0 {
		return Arrival{Lost: fmt.Errorf("%s selects no pod that is ready", named(service))}
	}
	return Arrival{
		Share: float64(taken) / float64(pods), Lost: errors.Join(lost...),
		Configs: slices.SortedFunc(maps.Keys(configs), func(a, b types.NamespacedName) int {
			return strings.Compare(a.String(), b.String())
		}),
	}
}

// frontend returns the Service whose load balancer has the address and the port.
func (c Cluster) frontend(address string, port int32) (*corev1.Service, corev1.ServicePort, error) {
	has := func(at corev1.LoadBalancerIngress) bool { return at.IP == address }
	var other *corev1.Service
	for _, service := range c.Services {
		if service.Spec.Type != corev1.ServiceTypeLoadBalancer || !slices.ContainsFunc(service.Status.LoadBalancer.Ingress, has) {
			continue
		}
		for _, entry := range service.Spec.Ports {
			if entry.Port == port && entry.Protocol != corev1.ProtocolUDP {
				return service, entry, nil
			}
		}
		other = service
	}
	if other != nil {
		return nil, corev1.ServicePort{}, fmt.Errorf("%s, whose load balancer has the address %s, has no port %d",
			named(other), address, port)
	}
	return nil, corev1.ServicePort{}, fmt.Errorf("no load balancer of the cluster has the address %s", address)
}

// answer returns the Gateways of Istio that serve requests to a port of a Service in one pod.
func (c Cluster) answer(pod *corev1.Pod, service *corev1.Service, entry corev1.ServicePort) ([]types.NamespacedName, error) {
	target, ok := TargetPort(pod, entry)
	if !ok {
		return nil, fmt.Errorf("%s sends port %d to the port %q, which pod %s does not name", named(service), entry.Port,
			entry.TargetPort.StrVal, pod.Name)
	}
	if target == statusPort {
		return nil, nil
	}
	open := listeners(pod, c.Services, c.Configs)
	servers, ok := open[target]
	if !ok {
		open[statusPort] = nil
		return nil, fmt.Errorf("%s sends port %d to port %d of pod %s, where Envoy does not listen; it listens on %s", named(service),
			entry.Port, target, pod.Name, strings.Trim(fmt.Sprint(slices.Sorted(maps.Keys(open))), "[]"))
	}
	var found []types.NamespacedName
	for _, server := range servers {
		if plain(server.protocol) {
			found = append(found, server.config)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("port %d of pod %s takes %s and no plain HTTP", target, pod.Name, servers[0].protocol)
	}
	return found, nil
}

func named(service *corev1.Service) string {
	return "Service " + service.Namespace + "/" + service.Name
}

// Ready says whether a pod gets requests: it is ready and is not being deleted.
func Ready(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
		return condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
	})
}
