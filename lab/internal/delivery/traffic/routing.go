package traffic

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gridos/sharedinfra/lab/internal/cluster/mesh"
)

var virtualServices = schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}

// virtualService has the fields that decide where a request goes.
type virtualService struct {
	Spec struct {
		Gateways []string `json:"gateways"`
		HTTP     []struct {
			Match []match `json:"match"`
			Route []struct {
				Destination struct {
					Host string `json:"host"`
				} `json:"destination"`
				Weight int64 `json:"weight"`
			} `json:"route"`
		} `json:"http"`
	} `json:"spec"`
}

// match is one of a route's conditions; a request must meet one of them.
type match struct {
	URI     textMatch            `json:"uri"`
	Headers map[string]textMatch `json:"headers"`
}

// textMatch is a condition for a text; if both fields are empty, every text matches.
type textMatch struct {
	Exact  string `json:"exact"`
	Prefix string `json:"prefix"`
}

func (m textMatch) takes(text string) bool {
	return (m.Exact == "" || m.Exact == text) && strings.HasPrefix(text, m.Prefix)
}

func (m match) takes(path string, header http.Header) bool {
	for name, wanted := range m.Headers {
		if !wanted.takes(header.Get(name)) {
			return false
		}
	}
	return m.URI.takes(path)
}

// read returns the fields that decide, or false if the VirtualService is for none of gateways.
func read(object *unstructured.Unstructured, gateways []types.NamespacedName) (service virtualService, serves bool, err error) {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &service); err != nil {
		return service, false, fmt.Errorf("VirtualService %s/%s: %w", object.GetNamespace(), object.GetName(), err)
	}
	return service, slices.ContainsFunc(service.Spec.Gateways, func(name string) bool {
		namespace, short, qualified := strings.Cut(name, "/")
		if !qualified {
			namespace, short = object.GetNamespace(), name
		}
		return slices.Contains(gateways, types.NamespacedName{Namespace: namespace, Name: short})
	}), nil
}

// serviceFor returns the Service for a request: that of the first matching route, drawn at random
// if the route has several. It is empty if no route matches, or if the gateway answers by itself.
func serviceFor(object *unstructured.Unstructured, gateways []types.NamespacedName, path string, header http.Header) (string, error) {
	service, serves, err := read(object, gateways)
	if err != nil || !serves {
		return "", err
	}
	for _, route := range service.Spec.HTTP {
		if len(route.Match) > 0 && !slices.ContainsFunc(route.Match, func(m match) bool { return m.takes(path, header) }) {
			continue
		}
		var all int64
		for _, to := range route.Route {
			all += to.Weight
		}
		at := int64(0)
		if all > 0 {
			at = rand.Int64N(all) //nolint:gosec // which pod answers is no secret
		}
		for _, to := range route.Route {
			if at -= to.Weight; at < 0 || all == 0 {
				return serviceName(to.Destination.Host), nil
			}
		}
		return "", nil
	}
	return "", nil
}

// serviceName returns the name of a Service of this namespace, from a host that may have a domain.
func serviceName(host string) string {
	name, _, _ := strings.Cut(host, ".")
	return name
}

// shareOf returns each Service's part, 0 to 1, of the requests that came in through one of
// gateways. The first route that accepts every path decides.
func shareOf(object *unstructured.Unstructured, gateways []types.NamespacedName) (map[string]float64, error) {
	service, serves, err := read(object, gateways)
	if err != nil || !serves {
		return nil, err
	}
	for _, route := range service.Spec.HTTP {
		if len(route.Match) > 0 || len(route.Route) == 0 {
			continue
		}
		if len(route.Route) == 1 {
			route.Route[0].Weight = 1 // a single one needs none
		}
		var all int64
		for _, to := range route.Route {
			all += to.Weight
		}
		shares := map[string]float64{}
		for _, to := range route.Route {
			if to.Weight > 0 {
				shares[serviceName(to.Destination.Host)] += float64(to.Weight) / float64(all)
			}
		}
		return shares, nil
	}
	return nil, nil
}

// endpoints returns the pods to which a Service sends requests.
func endpoints(service *corev1.Service, replicas []*replica) []*replica {
	if service == nil || len(service.Spec.Selector) == 0 {
		return nil
	}
	selector := k8slabels.SelectorFromSet(service.Spec.Selector)
	var found []*replica
	for _, r := range replicas {
		if selector.Matches(k8slabels.Set(r.pod.Labels)) && mesh.Ready(r.pod) {
			found = append(found, r)
		}
	}
	return found
}
