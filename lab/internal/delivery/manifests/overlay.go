package manifests

import (
	"fmt"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

const rollout = "Rollout"

// typed is an object with its Go type.
type typed[T any] struct {
	Object
	is T
}

// overlay has an overlay's objects by kind. For kinds whose Go types would bring a whole controller
// into this module, this file defines the checked fields.
type overlay struct {
	all             []Object
	rollouts        []typed[rolloutFields]
	cronJobs        []typed[batchv1.CronJob]
	templates       []typed[analysisFields]
	services        []typed[corev1.Service]
	configMaps      []typed[corev1.ConfigMap]
	serviceAccounts []typed[corev1.ServiceAccount]
	scalers         []typed[autoscalingv2.HorizontalPodAutoscaler]
	budgets         []typed[policyv1.PodDisruptionBudget]
	networkPolicies []typed[networkingv1.NetworkPolicy]
	gateways        []typed[gatewayFields]
	virtualServices []typed[virtualServiceFields]
	externalSecrets []typed[externalSecretFields]
}

type rolloutFields struct {
	Spec struct {
		Replicas *int32                 `json:"replicas"`
		Selector metav1.LabelSelector   `json:"selector"`
		Template corev1.PodTemplateSpec `json:"template"`
		Strategy struct {
			Canary struct {
				StableService  string `json:"stableService"`
				CanaryService  string `json:"canaryService"`
				TrafficRouting struct {
					Istio struct {
						VirtualService struct {
							Name   string   `json:"name"`
							Routes []string `json:"routes"`
						} `json:"virtualService"`
					} `json:"istio"`
				} `json:"trafficRouting"`
				Analysis *analysisUse `json:"analysis"`
				Steps    []struct {
					Pause *struct {
						Duration string `json:"duration"`
					} `json:"pause"`
					Analysis *analysisUse `json:"analysis"`
				} `json:"steps"`
			} `json:"canary"`
		} `json:"strategy"`
	} `json:"spec"`
}

// analysisUse is an analysis at a step of a Rollout, or in the background of several.
type analysisUse struct {
	Templates []struct {
		TemplateName string `json:"templateName"`
	} `json:"templates"`
	Args []argument `json:"args"`
}

// argument is an argument of an analysis; Value is nil if none is given.
type argument struct {
	Name  string  `json:"name"`
	Value *string `json:"value"`
}

type analysisFields struct {
	Spec struct {
		Args    []argument       `json:"args"`
		Metrics []map[string]any `json:"metrics"`
	} `json:"spec"`
}

type gatewayFields struct {
	Spec struct {
		Selector map[string]string `json:"selector"`
	} `json:"spec"`
}

type virtualServiceFields struct {
	Spec struct {
		Gateways []string `json:"gateways"`
		HTTP     []struct {
			Name  string `json:"name"`
			Route []struct {
				Destination struct {
					Host string `json:"host"`
					Port struct {
						Number int32 `json:"number"`
					} `json:"port"`
				} `json:"destination"`
				Weight int `json:"weight"`
			} `json:"route"`
		} `json:"http"`
	} `json:"spec"`
}

type externalSecretFields struct {
	Spec struct {
		SecretStoreRef struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"secretStoreRef"`
		Target struct {
			Name string `json:"name"`
		} `json:"target"`
		Data []struct {
			SecretKey string `json:"secretKey"`
			RemoteRef struct {
				Key string `json:"key"`
			} `json:"remoteRef"`
		} `json:"data"`
	} `json:"spec"`
}

// sorted sorts an overlay's objects by kind. An object that does not fit its Go type is a problem,
// and is left out.
func sorted(objects []Object, r *report) overlay {
	o := overlay{all: objects}
	for _, object := range objects {
		switch object.GetKind() {
		case rollout:
			take(object, &o.rollouts, false, r)
		case "CronJob":
			take(object, &o.cronJobs, true, r)
		case "AnalysisTemplate":
			take(object, &o.templates, false, r)
		case "Service":
			take(object, &o.services, true, r)
		case "ConfigMap":
			take(object, &o.configMaps, true, r)
		case "ServiceAccount":
			take(object, &o.serviceAccounts, true, r)
		case "HorizontalPodAutoscaler":
			take(object, &o.scalers, true, r)
		case "PodDisruptionBudget":
			take(object, &o.budgets, true, r)
		case "NetworkPolicy":
			take(object, &o.networkPolicies, true, r)
		case "Gateway":
			take(object, &o.gateways, false, r)
		case "VirtualService":
			take(object, &o.virtualServices, false, r)
		case "ExternalSecret":
			take(object, &o.externalSecrets, false, r)
		}
	}
	// The pods are the one part of a Rollout whose whole type is known here.
	for _, owner := range o.rollouts {
		pods, _, err := unstructured.NestedMap(owner.UnstructuredContent(), "spec", "template")
		if err == nil {
			err = runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(pods, &corev1.PodTemplateSpec{}, true)
		}
		for _, field := range unknown(err) {
			r.add(owner.Object, template+"."+field, "is unknown; look for a misspelling or a wrong place")
		}
	}
	return o
}

// take adds object to those of its kind. If complete is set, T has all fields of the kind.
func take[T any](object Object, into *[]typed[T], complete bool, r *report) {
	t := typed[T]{Object: object}
	err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.UnstructuredContent(), &t.is, complete)
	if fields := unknown(err); len(fields) > 0 {
		for _, field := range fields {
			r.add(object, field, "is unknown; look for a misspelling or a wrong place")
		}
	} else if err != nil {
		r.add(object, "spec", "does not fit its kind: %v", err)
		return
	}
	*into = append(*into, t)
}

// unknown returns the fields that a strict decoding found unknown.
func unknown(err error) []string {
	strict, ok := runtime.AsStrictDecodingError(err)
	if !ok {
		return nil
	}
	var fields []string
	for _, one := range strict.Errors() {
		fields = append(fields, strings.Trim(strings.TrimPrefix(one.Error(), "unknown field "), `"`))
	}
	slices.Sort(fields)
	return fields
}

// byName returns the object of that name.
func byName[T any](list []typed[T], name string) (typed[T], bool) {
	i := slices.IndexFunc(list, func(t typed[T]) bool { return t.GetName() == name })
	if i < 0 {
		return typed[T]{}, false
	}
	return list[i], true
}

// namesOf returns the names in a list, for a message.
func namesOf[T any](list []typed[T]) string {
	if len(list) == 0 {
		return "there is none"
	}
	all := make([]string, len(list))
	for i, one := range list {
		all[i] = one.GetName()
	}
	slices.Sort(all)
	return fmt.Sprintf("there is %s", strings.Join(all, ", "))
}
