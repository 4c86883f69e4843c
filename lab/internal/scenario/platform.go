package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery/manifests"
)

func infrastructure(ctx context.Context, s *Stage) (string, error) {
	resources, unknown, err := s.options.Infrastructure(ctx)
	if err != nil {
		return "", err
	}
	if len(unknown) > 0 || resources == 0 {
		return "", fmt.Errorf("Azure has %d resources, and no stack knows of %s", resources, strings.Join(unknown, ", "))
	}
	return fmt.Sprintf("all %d resources in Azure are those of %s", resources, "gridos-infra"), nil
}

// bootstrap checks Helm's own records.
func bootstrap(ctx context.Context, s *Stage) (string, error) {
	var seen []string
	for _, namespace := range []string{naming.NamespaceArgoCD, naming.NamespaceArgoRollouts} {
		records, err := s.cluster.Core.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{LabelSelector: "owner=helm"})
		if err != nil {
			return "", err
		}
		if len(records.Items) == 0 {
			return "", fmt.Errorf("Helm has no record in %s", namespace)
		}
		for _, record := range records.Items {
			if status := record.Labels["status"]; status != "deployed" || record.Labels["version"] != "1" {
				return "", fmt.Errorf("%s is %s in revision %s: it was installed more than once",
					record.Labels["name"], status, record.Labels["version"])
			}
			seen = append(seen, record.Labels["name"]+" revision 1")
		}
	}
	applications, err := s.cluster.Objects.Resource(argo.Applications).Namespace(naming.NamespaceArgoCD).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	for _, application := range applications.Items {
		destination, _, err := unstructured.NestedString(application.Object, "spec", "destination", "namespace")
		if err != nil {
			return "", err
		}
		if destination == naming.NamespaceArgoCD {
			return "", fmt.Errorf("the Application %s manages Argo CD's own namespace", application.GetName())
		}
	}
	return fmt.Sprintf("Helm's records: %s; none of %d Applications manages Argo CD",
		strings.Join(seen, ", "), len(applications.Items)), nil
}

// environments renders the overlays as Argo CD does.
func environments(ctx context.Context, s *Stage) (string, error) {
	want := map[string]struct {
		least int
		level string
	}{"dev": {2, "debug"}, "test": {3, "info"}, "prod": {5, "warn"}}
	var seen []string
	for _, environment := range naming.Environments() {
		objects, err := s.render(ctx, environment)
		if err != nil {
			return "", err
		}
		least, level := 0, ""
		for _, object := range objects {
			text, err := object.MarshalJSON()
			if err != nil {
				return "", err
			}
			switch object.GetKind() {
			case "Rollout":
				var rollout struct {
					Spec struct{ Template corev1.PodTemplateSpec }
				}
				err = json.Unmarshal(text, &rollout)
				for _, container := range rollout.Spec.Template.Spec.Containers {
					for _, variable := range container.Env {
						if variable.Name == "LOG_LEVEL" {
							level = variable.Value
						}
					}
				}
			case "HorizontalPodAutoscaler":
				var scaler struct{ Spec struct{ MinReplicas int } }
				err = json.Unmarshal(text, &scaler)
				least = scaler.Spec.MinReplicas
			}
			if err != nil {
				return "", err
			}
		}
		if least != want[environment].least || level != want[environment].level {
			return "", fmt.Errorf("%s has at least %d replicas and logs %s, and should have %d and %s",
				environment, least, level, want[environment].least, want[environment].level)
		}
		seen = append(seen, fmt.Sprintf("%s at least %d replicas, %s", environment, least, level))
	}
	return strings.Join(seen, "; "), nil
}

func (s *Stage) render(ctx context.Context, environment string) ([]manifests.Object, error) {
	return manifests.Build(ctx, s.options.Kustomize, filepath.Join(s.work.Dir, filepath.FromSlash(naming.Overlay(environment))))
}

// secrets checks that what Git's pods name of Secrets is there, and comes from the key vault.
func secrets(ctx context.Context, s *Stage) (string, error) {
	named := map[string]bool{}
	for _, environment := range naming.Environments() {
		objects, err := s.render(ctx, environment)
		if err != nil {
			return "", err
		}
		for _, object := range objects {
			if object.GetKind() == "Secret" {
				return "", fmt.Errorf("%s has the Secret %s in Git", environment, object.GetName())
			}
			if environment != s.options.Environment {
				continue
			}
			needs, err := s.present(ctx, object)
			if err != nil {
				return "", err
			}
			for _, need := range needs {
				named[need.name] = named[need.name] || need.kind == "Secret"
			}
		}
	}
	maps.DeleteFunc(named, func(_ string, secret bool) bool { return !secret })
	names := slices.Sorted(maps.Keys(named))
	if len(names) == 0 {
		return "", errors.New("no pod names a Secret")
	}
	for _, name := range names {
		secret, err := s.cluster.Core.CoreV1().Secrets(naming.NamespaceGridOS).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		if !slices.ContainsFunc(secret.OwnerReferences, func(o metav1.OwnerReference) bool { return o.Kind == "ExternalSecret" }) {
			return "", fmt.Errorf("%s is not an ExternalSecret's: %v", name, secret.OwnerReferences)
		}
	}
	return strings.Join(names, " and ") + " have from the vault what pods name; no overlay has a Secret", nil
}

// present returns the references of the pods that an object makes, unless one is missing.
func (s *Stage) present(ctx context.Context, object manifests.Object) ([]reference, error) {
	pod, err := podOf(object)
	if err != nil {
		return nil, err
	}
	needs := referencesOf(pod)
	for _, need := range needs {
		there, err := need.exists(ctx, s.cluster.Core)
		if err == nil && !there {
			err = fmt.Errorf("%s %s names %s, which is not there", object.GetKind(), object.GetName(), need)
		}
		if err != nil {
			return nil, err
		}
	}
	return needs, nil
}

// podOf returns the pods that an object makes, or nothing if it makes none.
func podOf(object manifests.Object) (pod corev1.PodSpec, err error) {
	for _, path := range [][]string{{"spec", "template", "spec"}, {"spec", "jobTemplate", "spec", "template", "spec"}} {
		fields, found, err := unstructured.NestedMap(object.Object, path...)
		if err == nil && found {
			err = runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &pod)
		}
		if err != nil {
			return pod, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return pod, nil
}

// status runs the commands that docs/GITOPS_COMPLETE_FLOW.md gives to people.
func status(ctx context.Context, s *Stage) (string, error) {
	for _, ask := range []struct {
		program string
		args    []string
		want    []string
	}{
		{s.options.Kubectl, []string{"get", "applications", "-n", naming.NamespaceArgoCD}, []string{s.application(), "Synced", "Healthy"}},
		{s.options.Kubectl, []string{"get", "rollouts", "-n", naming.NamespaceGridOS}, []string{argo.RolloutName}},
		{
			s.options.RolloutsPlugin,
			[]string{"list", "rollouts", "-n", naming.NamespaceGridOS},
			[]string{argo.RolloutName, "Healthy", "Canary"},
		},
		{
			s.options.RolloutsPlugin,
			[]string{"get", "rollout", argo.RolloutName, "-n", naming.NamespaceGridOS, "--no-color"},
			[]string{"Healthy", "stable", "ActualWeight"},
		},
	} {
		output, err := s.run(ctx, ask.program, ask.args...)
		if err != nil {
			return "", err
		}
		for _, want := range ask.want {
			if !strings.Contains(output, want) {
				return "", fmt.Errorf("%s does not show %q: %s", strings.Join(ask.args, " "), want, output)
			}
		}
	}
	return "kubectl get applications and rollouts, kubectl argo rollouts list and get", nil
}

// audit compares Argo CD's record of deployments with Git's history.
func audit(ctx context.Context, s *Stage) (string, error) {
	state, err := s.observer.State()
	if err != nil {
		return "", err
	}
	commits, err := s.work.Log(ctx)
	if err != nil {
		return "", err
	}
	history := state.Application.Status.History
	if len(history) == 0 {
		return "", errors.New("Argo CD tells of no sync")
	}
	for _, deployed := range history {
		i := slices.IndexFunc(commits, func(c gitCommit) bool { return c.SHA == deployed.Revision })
		if i < 0 || commits[i].Subject == "" || commits[i].Author == "" {
			return "", fmt.Errorf("%s was deployed, and is no commit with an author and a reason", deployed.Revision)
		}
	}
	if head := commits[0].SHA; !state.Application.Synced(head) {
		sync := state.Application.Status.Sync
		return "", fmt.Errorf("the cluster is %s with %s, and Git is at %s", sync.Status, sync.Revision, head)
	}
	for _, object := range state.Application.Status.Resources {
		if object.Status != "Synced" && object.Status != "" {
			return "", fmt.Errorf("%s %s is %s: not as Git says", object.Kind, object.Name, object.Status)
		}
	}
	last, err := json.Marshal(commits[0].Subject)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d syncs, each a commit; all %d objects are as %s %s says",
		len(history), len(state.Application.Status.Resources), short(commits[0].SHA), last), nil
}
