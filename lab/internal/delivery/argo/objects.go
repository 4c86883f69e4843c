// Package argo follows the reports of Argo CD and Argo Rollouts about a release: the live objects,
// as they change.
package argo

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Application has the relevant fields of an argoproj.io/v1alpha1 Application.
type Application struct {
	metav1.ObjectMeta `json:"metadata"`
	Status            struct {
		Sync struct {
			// Status is the result of the comparison with the commit Revision: Synced, OutOfSync or
			// Unknown.
			Status   string `json:"status"`
			Revision string `json:"revision"`
		} `json:"sync"`
		Health struct {
			Status string `json:"status"`
		} `json:"health"`
		// Conditions say what is wrong.
		Conditions []struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"conditions"`
		OperationState struct {
			// Phase is that of the last sync: Running, Succeeded, Failed or Error.
			Phase      string      `json:"phase"`
			Message    string      `json:"message"`
			StartedAt  metav1.Time `json:"startedAt"`
			FinishedAt metav1.Time `json:"finishedAt"`
			SyncResult struct {
				Revision  string `json:"revision"`
				Resources []struct {
					Kind    string `json:"kind"`
					Name    string `json:"name"`
					Status  string `json:"status"`
					Message string `json:"message"`
				} `json:"resources"`
			} `json:"syncResult"`
			Operation struct {
				InitiatedBy struct {
					Automated bool `json:"automated"`
				} `json:"initiatedBy"`
			} `json:"operation"`
		} `json:"operationState"`
		// History are the successful syncs, the last one last.
		History []struct {
			Revision   string      `json:"revision"`
			DeployedAt metav1.Time `json:"deployedAt"`
		} `json:"history"`
		// Resources are the objects that belong to it.
		Resources []struct {
			Kind   string `json:"kind"`
			Name   string `json:"name"`
			Status string `json:"status"`
		} `json:"resources"`
	} `json:"status"`
}

// Synced reports whether the cluster matches the commit, and whether a sync brought it there.
func (a Application) Synced(commit string) bool {
	return a.Status.Sync.Status == "Synced" && a.Status.Sync.Revision == commit && a.Status.OperationState.Phase != "Running"
}

// Healthy reports whether all objects that belong to it are healthy.
func (a Application) Healthy() bool { return a.Status.Health.Status == "Healthy" }

// Problem returns the problems that Argo CD reports, those of an unfinished sync included; or "".
func (a Application) Problem() string {
	var words []string
	for _, c := range a.Status.Conditions {
		words = append(words, c.Type+": "+c.Message)
	}
	// A sync that failed and will be retried is Running.
	if sync := a.Status.OperationState; sync.Phase != "" && sync.Phase != "Succeeded" {
		words = append(words, "sync "+sync.Phase+": "+sync.Message)
		for _, r := range sync.SyncResult.Resources {
			if r.Status == "SyncFailed" {
				words = append(words, r.Kind+" "+r.Name+": "+r.Message)
			}
		}
	}
	return strings.Join(words, "; ")
}

// Rollout has the relevant fields of an argoproj.io/v1alpha1 Rollout.
type Rollout struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Replicas int `json:"replicas"`
		Template struct {
			Spec struct {
				Containers []struct {
					Image string `json:"image"`
				} `json:"containers"`
			} `json:"spec"`
		} `json:"template"`
		Strategy struct {
			Canary struct {
				Steps []struct {
					SetWeight *int `json:"setWeight"`
				} `json:"steps"`
			} `json:"canary"`
		} `json:"strategy"`
	} `json:"spec"`
	Status struct {
		// Phase is Healthy, Progressing, Paused or Degraded.
		Phase              string `json:"phase"`
		Message            string `json:"message"`
		ObservedGeneration string `json:"observedGeneration"`
		CurrentPodHash     string `json:"currentPodHash"`
		StableRS           string `json:"stableRS"`
		CurrentStepIndex   int    `json:"currentStepIndex"`
		Abort              bool   `json:"abort"`
		Canary             struct {
			Weights struct {
				Canary struct {
					Weight int `json:"weight"`
				} `json:"canary"`
			} `json:"weights"`
		} `json:"canary"`
	} `json:"status"`
}

// Image returns the image of the first container of the wanted revision.
func (r Rollout) Image() string {
	if len(r.Spec.Template.Spec.Containers) == 0 {
		return ""
	}
	return r.Spec.Template.Spec.Containers[0].Image
}

// Seen reports whether the status is about the present specification.
func (r Rollout) Seen() bool { return r.Status.ObservedGeneration == fmt.Sprint(r.Generation) }

// Weights returns the shares of the requests that the steps set, in their order.
func (r Rollout) Weights() []int {
	var all []int
	for _, step := range r.Spec.Strategy.Canary.Steps {
		if step.SetWeight != nil {
			all = append(all, *step.SetWeight)
		}
	}
	return all
}

// Analysis has the relevant fields of an argoproj.io/v1alpha1 AnalysisRun.
type Analysis struct {
	metav1.ObjectMeta `json:"metadata"`
	Status            struct {
		// Phase is Pending, Running, Successful, Failed, Error or Inconclusive.
		Phase   string `json:"phase"`
		Message string `json:"message"`
		Metrics []struct {
			Name         string `json:"name"`
			Phase        string `json:"phase"`
			Message      string `json:"message"`
			Measurements []struct {
				Phase string `json:"phase"`
				Value string `json:"value"`
			} `json:"measurements"`
		} `json:"metricResults"`
	} `json:"status"`
}

// Background reports whether it runs during the steps, instead of being one of them.
func (a Analysis) Background() bool { return a.Labels["rollout-type"] == "Background" }

// Hash returns the hash of the pods that it judges.
func (a Analysis) Hash() string { return a.Labels[RevisionLabel] }

// Summary returns the measurements, such as "success-rate 2/3, latency-p95 3/3".
func (a Analysis) Summary() string {
	var words []string
	for _, metric := range a.Status.Metrics {
		good := 0
		for _, m := range metric.Measurements {
			if m.Phase == "Successful" {
				good++
			}
		}
		words = append(words, fmt.Sprintf("%s %d/%d", metric.Name, good, len(metric.Measurements)))
	}
	return strings.Join(words, ", ")
}

// Routing is how the VirtualService splits the users' requests.
type Routing struct {
	// Stable and Canary are in percent.
	Stable, Canary int
}

func (r Routing) String() string { return fmt.Sprintf("%d/%d", r.Stable, r.Canary) }

// Move is a change of the routing.
type Move struct {
	Routing
	At time.Time
}

// State has the objects at one moment. A missing object has its zero value.
type State struct {
	Application Application
	Rollout     Rollout
	// Analyses are in the order of their creation.
	Analyses []Analysis
	Routing  Routing
}

// AnalysesOf returns the analyses of one revision, since a time, that are steps.
func (s State) AnalysesOf(hash string, since time.Time) []Analysis {
	return s.analysesOf(hash, since, false)
}

// BackgroundOf returns the analyses of one revision, since a time, that run during the steps.
func (s State) BackgroundOf(hash string, since time.Time) []Analysis {
	return s.analysesOf(hash, since, true)
}

func (s State) analysesOf(hash string, since time.Time, background bool) []Analysis {
	since = since.Truncate(time.Second) // the API server writes times in whole seconds
	return slices.DeleteFunc(slices.Clone(s.Analyses), func(a Analysis) bool {
		return a.Hash() != hash || a.Background() != background || a.CreationTimestamp.Time.Before(since)
	})
}

func read[T any](object *unstructured.Unstructured) (T, error) {
	var into T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &into); err != nil {
		return into, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return into, nil
}

// routingOf reads the first route that splits requests between the two Services.
func routingOf(object *unstructured.Unstructured, stable, canary string) (Routing, error) {
	virtual, err := read[struct {
		Spec struct {
			HTTP []struct {
				Route []struct {
					Destination struct {
						Host string `json:"host"`
					} `json:"destination"`
					Weight int `json:"weight"`
				} `json:"route"`
			} `json:"http"`
		} `json:"spec"`
	}](object)
	if err != nil {
		return Routing{}, err
	}
	for _, rule := range virtual.Spec.HTTP {
		var routing Routing
		split := map[string]bool{}
		for _, route := range rule.Route {
			split[route.Destination.Host] = true
			switch route.Destination.Host {
			case stable:
				routing.Stable = route.Weight
			case canary:
				routing.Canary = route.Weight
			}
		}
		if split[stable] && split[canary] {
			return routing, nil
		}
	}
	return Routing{}, nil
}
