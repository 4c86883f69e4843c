package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
)

// analysisTemplates is the resource of Argo Rollouts' kind AnalysisTemplate.
var analysisTemplates = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "analysistemplates"}

// canary has the waits of a Rollout: pauses, and analyses by the names of their templates.
type canary struct {
	Spec struct {
		Strategy struct {
			Canary struct {
				Steps []struct {
					Pause *struct {
						Duration string `json:"duration"`
					} `json:"pause"`
					Analysis *struct {
						Templates []struct {
							TemplateName string `json:"templateName"`
						} `json:"templates"`
					} `json:"analysis"`
				} `json:"steps"`
			} `json:"canary"`
		} `json:"strategy"`
	} `json:"spec"`
}

// template is how often, and how far apart, an analysis measures.
type template struct {
	Spec struct {
		Metrics []struct {
			Count    int64  `json:"count"`
			Interval string `json:"interval"`
		} `json:"metrics"`
	} `json:"spec"`
}

// configuredWaits is how long the Rollout in the cluster waits by configuration: pauses, and the
// time between the measurements of its analyses. Analyses measure their metrics at the same time.
// No implementation can be faster than that.
func configuredWaits(ctx context.Context, kubeconfig string) (time.Duration, error) {
	clients, err := kube.Connect(kubeconfig)
	if err != nil {
		return 0, err
	}
	object, err := clients.Objects.Resource(argo.Rollouts).Namespace(naming.NamespaceGridOS).Get(ctx, argo.RolloutName, metav1.GetOptions{})
	if err != nil {
		return 0, err
	}
	list, err := clients.Objects.Resource(analysisTemplates).Namespace(naming.NamespaceGridOS).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, err
	}
	return waitsOf(object, list.Items)
}

func waitsOf(rollout *unstructured.Unstructured, templates []unstructured.Unstructured) (time.Duration, error) {
	measures := map[string]time.Duration{}
	for _, object := range templates {
		var t template
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &t); err != nil {
			return 0, err
		}
		for _, m := range t.Spec.Metrics {
			if m.Count < 2 {
				continue
			}
			interval, err := time.ParseDuration(m.Interval)
			if err != nil {
				return 0, fmt.Errorf("AnalysisTemplate %s: %w", object.GetName(), err)
			}
			measures[object.GetName()] = max(measures[object.GetName()], time.Duration(m.Count-1)*interval)
		}
	}
	var c canary
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(rollout.Object, &c); err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, step := range c.Spec.Strategy.Canary.Steps {
		if step.Pause != nil {
			pause, err := time.ParseDuration(step.Pause.Duration)
			if err != nil {
				return 0, fmt.Errorf("a pause of the Rollout: %w", err)
			}
			sum += pause
		}
		if step.Analysis != nil {
			var longest time.Duration
			for _, t := range step.Analysis.Templates {
				longest = max(longest, measures[t.TemplateName])
			}
			sum += longest
		}
	}
	return sum, nil
}
