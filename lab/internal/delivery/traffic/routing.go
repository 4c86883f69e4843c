package traffic

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gridos/sharedinfra/lab/internal/cluster/mesh"
)

// virtualService is an object, as it was read.
type virtualService struct {
	deciding

	object *unstructured.Unstructured
}

// deciding are the fields that decide where a request goes.
type deciding struct {
	Spec struct {
		Gateways []string `json:"gateways"`
		HTTP     []struct {
			Match          []match `json:"match"`
			DirectResponse struct {
				Status int `json:"status"`
			} `json:"directResponse"`
			Timeout string `json:"timeout"`
			Retries struct {
				Attempts      int    `json:"attempts"`
				PerTryTimeout string `json:"perTryTimeout"`
			} `json:"retries"`
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

// read returns the fields that decide.
func read(object *unstructured.Unstructured) (*virtualService, error) {
	service := &virtualService{object: object}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &service.deciding); err != nil {
		return nil, fmt.Errorf("VirtualService %s/%s: %w", object.GetNamespace(), object.GetName(), err)
	}
	return service, nil
}

// serves says whether it is for one of gateways.
func (s *virtualService) serves(gateways []types.NamespacedName) bool {
	return slices.ContainsFunc(s.Spec.Gateways, func(name string) bool {
		namespace, short, qualified := strings.Cut(name, "/")
		if !qualified {
			namespace, short = s.object.GetNamespace(), name
		}
		return slices.Contains(gateways, types.NamespacedName{Namespace: namespace, Name: short})
	})
}

// route is what the gateway does with a request.
type route struct {
	// service gets the request. Without one the gateway answers by itself, with the status.
	service string
	status  int
	// limit is the time for the answer; 0 is any. attempts is how often a request is sent again of
	// which no pod has got anything.
	limit    time.Duration
	attempts int
}

// routeOf returns what happens to a request that came in through one of gateways: the first
// matching route decides, and its Service is drawn at random if it has several.
func (s *virtualService) routeOf(gateways []types.NamespacedName, path string, header http.Header) (route, error) {
	if !s.serves(gateways) {
		return route{status: http.StatusNotFound}, nil
	}
	for _, rule := range s.Spec.HTTP {
		if len(rule.Match) > 0 && !slices.ContainsFunc(rule.Match, func(m match) bool { return m.takes(path, header) }) {
			continue
		}
		if rule.DirectResponse.Status != 0 {
			return route{status: rule.DirectResponse.Status}, nil
		}
		found := route{attempts: rule.Retries.Attempts}
		for _, text := range []string{rule.Timeout, rule.Retries.PerTryTimeout} {
			limit, err := time.ParseDuration(cmp.Or(text, "0s"))
			if err != nil {
				return route{}, fmt.Errorf("VirtualService %s/%s: %w", s.object.GetNamespace(), s.object.GetName(), err)
			}
			if limit > 0 && (found.limit == 0 || limit < found.limit) {
				found.limit = limit
			}
		}
		var all int64
		for _, to := range rule.Route {
			all += to.Weight
		}
		at := int64(0)
		if all > 0 {
			at = rand.Int64N(all) //nolint:gosec // which pod answers is no secret
		}
		for _, to := range rule.Route {
			if at -= to.Weight; at < 0 || all == 0 {
				found.service = serviceName(to.Destination.Host)
				return found, nil
			}
		}
		break
	}
	return route{status: http.StatusNotFound}, nil
}

// serviceName returns the name of a Service of this namespace, from a host that may have a domain.
func serviceName(host string) string {
	name, _, _ := strings.Cut(host, ".")
	return name
}

// endpoints returns the pods to which a Service sends requests.
func endpoints(service *corev1.Service, pods []*corev1.Pod) []*corev1.Pod {
	if service == nil || len(service.Spec.Selector) == 0 {
		return nil
	}
	selector := k8slabels.SelectorFromSet(service.Spec.Selector)
	var found []*corev1.Pod
	for _, pod := range pods {
		if selector.Matches(k8slabels.Set(pod.Labels)) && mesh.Ready(pod) {
			found = append(found, pod)
		}
	}
	return found
}

// tagOf returns the tag of the image of a pod's first container, parsed as the container runtime
// does.
func tagOf(pod *corev1.Pod) string {
	if len(pod.Spec.Containers) == 0 {
		return ""
	}
	image, _, _ := strings.Cut(pod.Spec.Containers[0].Image, "@")
	name := image[strings.LastIndex(image, "/")+1:] // a registry may have a port
	if _, tag, found := strings.Cut(name, ":"); found {
		return tag
	}
	return "latest"
}
