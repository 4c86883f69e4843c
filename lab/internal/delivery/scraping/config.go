// Package scraping is how Prometheus, which runs beside the lab's cluster, finds pods and reaches
// them. Prometheus has the scrape configuration of its chart, with the platform's values, and finds
// pods at the API server as it does in a cluster. It reaches them through a proxy, because their
// addresses exist in the cluster alone.
package scraping

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/naming"
)

//go:embed chart.yaml
var chart []byte

// Interval is how often Prometheus asks a pod. It is a second in place of the platform's quarter of
// a minute, because the windows of the queries are short in the lab as well. Pods of the platform's
// own programs are asked less often: no query about them has a short window.
const (
	Interval         = time.Second
	platformInterval = 5 * time.Second
)

// Here is what a Prometheus outside of the cluster needs.
type Here struct {
	// Kubeconfig is the path of a file that signs in to the cluster.
	Kubeconfig string
	// Proxy is the URL of the proxy to the pods.
	Proxy string
	// Prometheus is the address, host:port, at which it serves its own metrics.
	Prometheus string
}

// Jobs returns the scrape configurations that the chart writes with these values, for a Prometheus
// that runs here. Jobs of the chart about parts that the lab does not have, such as nodes, are left
// out; their names are without.
func Jobs(values map[string]any, here Here) (jobs []any, without []string, err error) {
	var defaults struct {
		ScrapeConfigs map[string]map[string]any `json:"scrapeConfigs"`
	}
	if err := yaml.Unmarshal(chart, &defaults); err != nil {
		return nil, nil, fmt.Errorf("the chart's jobs: %w", err)
	}
	given, _, err := unstructured.NestedMap(values, "scrapeConfigs")
	if err != nil {
		return nil, nil, fmt.Errorf("the values of the chart prometheus: scrapeConfigs must be an object with the jobs: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		ours, isObject := given[name].(map[string]any)
		if !isObject {
			return nil, nil, fmt.Errorf("the values of the chart prometheus: scrapeConfigs.%s is a %T; it must be an object",
				name, given[name])
		}
		job := defaults.ScrapeConfigs[name]
		if enabled, says := ours["enabled"].(bool); says && !enabled {
			continue
		}
		if job == nil && ours["static_configs"] == nil && ours["kubernetes_sd_configs"] == nil {
			without = append(without, name)
			continue
		}
		if job == nil {
			job = map[string]any{}
		}
		maps.Copy(job, ours)
		delete(job, "enabled")
		if job["job_name"] == nil || job["job_name"] == "" {
			job["job_name"] = name
		}
		jobs = append(jobs, outside(job, here))
	}
	return jobs, without, nil
}

// outside lets a job find the API server, pods, and Prometheus itself.
func outside(job map[string]any, here Here) map[string]any {
	if found, has := job["kubernetes_sd_configs"].([]any); has {
		for _, one := range found {
			if config, isObject := one.(map[string]any); isObject {
				config["kubeconfig_file"] = here.Kubeconfig
			}
		}
		job["proxy_url"] = here.Proxy
		rules, _ := job["relabel_configs"].([]any)
		for _, label := range []string{"__scrape_interval__", "__scrape_timeout__"} {
			rules = append(rules, map[string]any{
				"source_labels": []any{"__meta_kubernetes_namespace"}, "target_label": label, "replacement": platformInterval.String(),
				"regex": strings.Join([]string{
					naming.NamespaceArgoCD, naming.NamespaceArgoRollouts, naming.NamespaceExternalSecrets,
				}, "|"),
			})
		}
		job["relabel_configs"] = rules
	}
	if _, has := job["static_configs"]; has && job["job_name"] == "prometheus" {
		job["static_configs"] = []any{map[string]any{"targets": []any{here.Prometheus}}}
	}
	return job
}
