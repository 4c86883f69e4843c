package traffic

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/cluster/mesh"
)

var configs = schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "gateways"}

// Backend is a target to which an Application Gateway sends requests, after asking it whether it is
// healthy.
type Backend struct {
	// Address is an IPv4 address.
	Address string
	// Port takes the requests, and ProbePort the probes.
	Port, ProbePort int32
	// MostBody is how many bytes of a request's body the firewall lets through; 0 is any number.
	MostBody int64
}

// entrance has the stations of a request between the Application Gateway and the routes of the
// mesh.
type entrance struct {
	services corelisters.ServiceLister
	pods     corelisters.PodLister
	configs  cache.GenericLister
}

// cluster has what decides where requests arrive. Lost requests are no error.
func (e entrance) cluster() (mesh.Cluster, error) {
	services, err := e.services.List(k8slabels.Everything())
	if err != nil {
		return mesh.Cluster{}, err
	}
	pods, err := e.pods.List(k8slabels.Everything())
	if err != nil {
		return mesh.Cluster{}, err
	}
	objects, err := e.configs.List(k8slabels.Everything())
	if err != nil {
		return mesh.Cluster{}, err
	}
	cluster := mesh.Cluster{Services: services, Pods: pods}
	for _, object := range objects {
		config, err := configOf(object)
		if err != nil {
			return mesh.Cluster{}, err
		}
		cluster.Configs = append(cluster.Configs, config)
	}
	return cluster, nil
}

// internalIngress is the Service of AKS by which the pods of the cluster reach the mesh's gateway,
// as the analysis of a release and the smoke test do.
var internalIngress = types.NamespacedName{Namespace: naming.NamespaceIstioIngress, Name: naming.IstioInternalIngress}

// through spreads the requests over the backends that answer their probes, as an Application
// Gateway does.
func through(backends []Backend, cluster mesh.Cluster) mesh.Arrival {
	var healthy []Backend
	var lost []error
	for _, backend := range backends {
		if probed := cluster.Arrive(backend.Address, backend.ProbePort); probed.Share == 0 {
			lost = append(lost, fmt.Errorf("the backend %s is not healthy: %w", backend.Address, probed.Lost))
			continue
		}
		healthy = append(healthy, backend)
	}
	var all mesh.Arrival
	for _, backend := range healthy {
		arrival := cluster.Arrive(backend.Address, backend.Port)
		all.Share += arrival.Share / float64(len(healthy))
		if arrival.Lost != nil {
			lost = append(lost, arrival.Lost)
		}
		for _, config := range arrival.Configs {
			if !slices.Contains(all.Configs, config) {
				all.Configs = append(all.Configs, config)
			}
		}
	}
	if len(backends) == 0 {
		lost = append(lost, errors.New("there is no Application Gateway with a backend"))
	}
	all.Lost = errors.Join(lost...)
	return all
}

// largestBody bounds the memory that a request takes where no firewall bounds it.
const largestBody = 16 << 20

// applicationGateway answers a request of a user.
func (t *Traffic) applicationGateway(w http.ResponseWriter, request *http.Request) {
	in, arriveErr := t.arrival()
	content, err := io.ReadAll(http.MaxBytesReader(w, request.Body, in.mostBody))
	if err != nil {
		t.lose(request.Context(), fmt.Errorf("the firewall refuses %s %s: %w", request.Method, request.URL.Path, err))
		http.Error(w, "the firewall refuses the body: "+err.Error(), http.StatusForbidden)
		return
	}
	t.lose(request.Context(), errors.Join(arriveErr, in.Lost))
	if rand.Float64() >= in.Share { //nolint:gosec // which request is lost is no secret
		http.Error(w, "502 Bad Gateway", http.StatusBadGateway)
		return
	}
	request.Header.Add("X-Forwarded-For", visitor(request.RemoteAddr).String())
	request.Header.Set("X-Appgw-Trace-Id", strings.ReplaceAll(uuid.NewString(), "-", ""))
	t.throughMesh(w, request, content, in.Configs, insideAddress)
}

// arrival is where users' requests arrive at present, and the longest body that gets there.
type arrival struct {
	mesh.Arrival

	inside   mesh.Arrival // where those of the cluster's own pods do
	mostBody int64
	at       time.Time
}

// heardOf is how long the gateways take to hear of a change.
const heardOf = 100 * time.Millisecond

func (t *Traffic) arrival() (arrival, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.arrived.at) < heardOf {
		return t.arrived, nil
	}
	backends := t.Backends()
	cluster, err := t.entrance.cluster()
	now := arrival{through(backends, cluster), cluster.Call(internalIngress, 80), largestBody, time.Now()}
	for _, backend := range backends {
		if backend.MostBody > 0 {
			now.mostBody = min(now.mostBody, backend.MostBody)
		}
	}
	if err == nil {
		t.arrived = now
	}
	return now, err
}

// insideAddress stands for the address of the Application Gateway in its subnet. The simulated
// Azure gives it none.
const insideAddress = "10.0.0.4"

// visitor is the address that the gateways see of a client on this machine: one of a network that
// is connected to the virtual network, as users' machines are.
func visitor(client string) netip.AddrPort {
	from, err := netip.ParseAddrPort(client)
	if err != nil || !from.Addr().Is4() {
		return from
	}
	bytes := from.Addr().As4()
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 254, bytes[2], bytes[3]}), from.Port())
}

// configOf reads an object of Istio's kind Gateway.
func configOf(object runtime.Object) (mesh.Config, error) {
	found, ok := object.(*unstructured.Unstructured)
	if !ok {
		return mesh.Config{}, fmt.Errorf("a Gateway is a %T", object)
	}
	config := mesh.Config{NamespacedName: types.NamespacedName{Namespace: found.GetNamespace(), Name: found.GetName()}}
	var gateway struct {
		Spec struct {
			Selector map[string]string `json:"selector"`
			Servers  []struct {
				Port struct {
					Number   int64  `json:"number"`
					Protocol string `json:"protocol"`
				} `json:"port"`
			} `json:"servers"`
		} `json:"spec"`
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(found.Object, &gateway); err != nil {
		return mesh.Config{}, fmt.Errorf("Gateway %s: %w", config.NamespacedName, err)
	}
	config.Selector = gateway.Spec.Selector
	for _, server := range gateway.Spec.Servers {
		config.Servers = append(config.Servers, mesh.ConfigPort{Number: int32(server.Port.Number), Protocol: server.Port.Protocol})
	}
	return config, nil
}
