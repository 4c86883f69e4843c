package traffic

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gridos/sharedinfra/lab/internal/mesh"
)

var virtualServices = schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}

// virtualService is what decides where a request goes.
type virtualService struct {
	Spec struct {
		Gateways []string `json:"gateways"`
		HTTP     []struct {
			Match []map[string]any `json:"match"`
			Route []struct {
				Destination struct {
					Host string `json:"host"`
				} `json:"destination"`
				Weight int64 `json:"weight"`
			} `json:"route"`
		} `json:"http"`
	} `json:"spec"`
}

// shareOf is the part of the requests, 0 to 1, that each Service gets of those that came in by one of gateways: by the first route
// that any path takes.
func shareOf(object *unstructured.Unstructured, gateways []types.NamespacedName) (map[string]float64, error) {
	var service virtualService
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &service); err != nil {
		return nil, fmt.Errorf("VirtualService %s/%s: %w", object.GetNamespace(), object.GetName(), err)
	}
	if !slices.ContainsFunc(service.Spec.Gateways, func(name string) bool {
		namespace, short, qualified := strings.Cut(name, "/")
		if !qualified {
			namespace, short = object.GetNamespace(), name
		}
		return slices.Contains(gateways, types.NamespacedName{Namespace: namespace, Name: short})
	}) {
		return nil, nil
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
				name, _, _ := strings.Cut(to.Destination.Host, ".") // of this namespace, whose domain may follow
				shares[name] += float64(to.Weight) / float64(all)
			}
		}
		return shares, nil
	}
	return nil, nil
}

// endpoints are the pods that a Service sends requests to.
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
