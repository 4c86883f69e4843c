package charts

import (
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// redisDefaults are the defaults of the chart redis-ha (4.38.0) that have an effect here.
func redisDefaults() map[string]any {
	component := func() map[string]any {
		return map[string]any{
			"replicas": 3, "hardAntiAffinity": true, "podDisruptionBudget": map[string]any{},
			"networkPolicy": map[string]any{"enabled": false},
		}
	}
	redis, haproxy := component(), component()
	haproxy["deploymentStrategy"] = map[string]any{"type": "RollingUpdate"}
	redis["haproxy"] = haproxy
	return redis
}

// redisWorkload is a workload of Redis, with its disruption budget and its network policy.
type redisWorkload struct{ kind, name, budget, policy string }

// redis lets the values, an expression, decide on one of the two workloads of Redis, as the chart
// redis-ha does.
func (c *chart) redis(w redisWorkload, values string) error {
	policy, err := c.find("NetworkPolicy", w.policy)
	if err != nil {
		return err
	}
	policy.condition = values + ".networkPolicy.enabled"
	return errors.Join(
		c.set(w.kind, w.name, "{{ "+values+".replicas | int }}", "spec", "replicas"),
		c.antiAffinity(w, values+".hardAntiAffinity"),
		c.redisBudget(w, values+".podDisruptionBudget"),
	)
}

// antiAffinity turns the manifest's demand of one pod per node into a preference if hard is false.
func (c *chart) antiAffinity(w redisWorkload, hard string) error {
	workload, err := c.find(w.kind, w.name)
	if err != nil {
		return err
	}
	const required = "requiredDuringSchedulingIgnoredDuringExecution"
	path := []string{"spec", "template", "spec", "affinity", "podAntiAffinity"}
	demands, _, err := unstructured.NestedSlice(workload.Object, append(path, required)...)
	if err != nil {
		return fmt.Errorf("chart %s: %s %s: %w", c.name, w.kind, w.name, err)
	}
	if len(demands) == 0 {
		return fmt.Errorf("chart %s: %s %s: the manifest of %s does not require one pod per node", c.name, w.kind, w.name, c.appVersion)
	}
	var preferences []any
	for _, demand := range demands {
		preferences = append(preferences, map[string]any{"weight": 100, "podAffinityTerm": demand})
	}
	require, err := json.Marshal(map[string]any{required: demands})
	if err != nil {
		return err
	}
	prefer, err := json.Marshal(map[string]any{"preferredDuringSchedulingIgnoredDuringExecution": preferences})
	if err != nil {
		return err
	}
	return c.set(w.kind, w.name,
		fmt.Sprintf("{{ if %s }}%s{{ else }}%s{{ end }}", hard, escape(string(require)), escape(string(prefer))), path...)
}

// redisBudget adds the disruption budget of a workload of Redis, which the chart renders if it is
// not empty.
func (c *chart) redisBudget(w redisWorkload, values string) error {
	workload, err := c.find(w.kind, w.name)
	if err != nil {
		return err
	}
	selector, _, err := unstructured.NestedMap(workload.Object, "spec", "selector")
	if err != nil {
		return fmt.Errorf("chart %s: %s %s: %w", c.name, w.kind, w.name, err)
	}
	selectorJSON, err := json.Marshal(selector)
	if err != nil {
		return fmt.Errorf("chart %s: %s %s: %w", c.name, w.kind, w.name, err)
	}
	budget := &object{
		Unstructured: &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": map[string]any{"name": w.budget},
			"spec": c.expression(fmt.Sprintf(`
{{- range $key, $value := %s }}
  {{ $key }}: {{ toJson $value }}
{{- end }}
  selector: %s`, values, escape(string(selectorJSON)))),
		}},
		condition: values,
	}
	c.objects = append(c.objects, budget)
	return c.placeInRelease(budget)
}
