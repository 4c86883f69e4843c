package traffic

import (
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

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
}

// entrance has the stations of a request between the Application Gateway and the routes of the
// mesh.
type entrance struct {
	backends func() []Backend
	services corelisters.ServiceLister
	pods     corelisters.PodLister
	configs  cache.GenericLister
}

// arrive follows the requests to the mesh's gateway. The error is about reading the objects that
// decide; lost requests are no error.
func (e entrance) arrive() (mesh.Arrival, error) {
	services, err := e.services.List(k8slabels.Everything())
	if err != nil {
		return mesh.Arrival{}, err
	}
	pods, err := e.pods.List(k8slabels.Everything())
	if err != nil {
		return mesh.Arrival{}, err
	}
	objects, err := e.configs.List(k8slabels.Everything())
	if err != nil {
		return mesh.Arrival{}, err
	}
	cluster := mesh.Cluster{Services: services, Pods: pods}
	for _, object := range objects {
		config, err := configOf(object)
		if err != nil {
			return mesh.Arrival{}, err
		}
		cluster.Configs = append(cluster.Configs, config)
	}
	return through(e.backends(), cluster), nil
}

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
