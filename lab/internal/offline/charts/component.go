package charts

import (
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// component lets the values of one component of the real chart decide on one workload: its number
// of pods, their resources and annotations, and its disruption budget. The key of these values is
// the component's name.
func (c *chart) component(kind, name, component string, autoscaled bool, variable string) error {
	return errors.Join(
		c.replicas(kind, name, component, autoscaled, variable),
		c.resources(kind, name, component),
		c.disruptionBudget(kind, name, component),
		c.podAnnotations(kind, name, component),
	)
}

// podAnnotations adds <component>.podAnnotations to those of the manifest.
func (c *chart) podAnnotations(kind, name, component string) error {
	object, err := c.find(kind, name)
	if err != nil {
		return err
	}
	path := []string{"spec", "template", "metadata", "annotations"}
	present, _, err := unstructured.NestedMap(object.Object, path...)
	if err != nil {
		return fmt.Errorf("chart %s: %s %s: %w", c.name, kind, name, err)
	}
	if present == nil {
		present = map[string]any{}
	}
	c.valuesOf(component)["podAnnotations"] = present
	return c.set(kind, name, fmt.Sprintf("{{ toJson .Values.%s.podAnnotations }}", component), path...)
}

// valuesOf are the default values of a component.
func (c *chart) valuesOf(component string) map[string]any {
	values, ok := c.values[component].(map[string]any)
	if !ok {
		values = map[string]any{}
		c.values[component] = values
	}
	return values
}

// replicas lets <component>.replicas decide, or the minimum of the component's autoscaling if the
// real chart can autoscale it; the manifest's number is the default. variable is the environment
// variable with the component's own number of pods, if it has one.
func (c *chart) replicas(kind, name, component string, autoscaled bool, variable string) error {
	object, err := c.find(kind, name)
	if err != nil {
		return err
	}
	count, found, err := unstructured.NestedInt64(object.Object, "spec", "replicas")
	if err != nil {
		return fmt.Errorf("chart %s: %s %s: %w", c.name, kind, name, err)
	}
	if !found {
		count = 1 // Kubernetes' default
	}
	values := c.valuesOf(component)
	values["replicas"] = count
	expression := fmt.Sprintf(".Values.%s.replicas | int", component)
	if autoscaled {
		values["autoscaling"] = map[string]any{"enabled": false, "minReplicas": 1}
		expression = fmt.Sprintf("ternary .Values.%[1]s.autoscaling.minReplicas .Values.%[1]s.replicas "+
			".Values.%[1]s.autoscaling.enabled | int", component)
	}
	if err := c.set(kind, name, "{{ "+expression+" }}", "spec", "replicas"); err != nil {
		return err
	}
	if variable == "" {
		return nil
	}
	return c.setEnvironment(kind, name, variable, "{{ "+expression+" | quote }}")
}

// resources lets <component>.resources decide about the first container; the others are helpers.
func (c *chart) resources(kind, name, component string) error {
	object, err := c.find(kind, name)
	if err != nil {
		return err
	}
	first := true
	return c.eachContainer(object, func(container map[string]any) error {
		if !first {
			return nil
		}
		first = false
		present, _, err := unstructured.NestedMap(container, "resources")
		if err != nil {
			return err
		}
		if present == nil {
			present = map[string]any{}
		}
		c.valuesOf(component)["resources"] = present
		container["resources"] = c.expression(fmt.Sprintf("{{ toJson .Values.%s.resources }}", component))
		return nil
	})
}

// disruptionBudget adds the budget that <component>.pdb describes. As in the real chart,
// maxUnavailable comes before minAvailable, and a budget with neither protects nothing.
func (c *chart) disruptionBudget(kind, name, component string) error {
	workload, err := c.find(kind, name)
	if err != nil {
		return err
	}
	selector, _, err := unstructured.NestedMap(workload.Object, "spec", "selector")
	if err != nil {
		return fmt.Errorf("chart %s: %s %s: %w", c.name, kind, name, err)
	}
	selectorJSON, err := json.Marshal(selector)
	if err != nil {
		return fmt.Errorf("chart %s: %s %s: %w", c.name, kind, name, err)
	}
	c.valuesOf(component)["pdb"] = map[string]any{"enabled": false, "minAvailable": "", "maxUnavailable": ""}
	budget := &object{
		Unstructured: &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "policy/v1",
			"kind":       "PodDisruptionBudget",
			"metadata":   map[string]any{"name": name},
			"spec": c.expression(fmt.Sprintf(`
{{- with .Values.%s.pdb }}
{{- if .maxUnavailable }}
  maxUnavailable: {{ .maxUnavailable }}
{{- else }}
  minAvailable: {{ .minAvailable | default 0 }}
{{- end }}
{{- end }}
  selector: %s`, component, escape(string(selectorJSON)))),
		}},
		condition: fmt.Sprintf(".Values.%s.pdb.enabled", component),
	}
	c.objects = append(c.objects, budget)
	return c.placeInRelease(budget)
}
