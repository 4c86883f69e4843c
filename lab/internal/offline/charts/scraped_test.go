package charts

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/apps/monitoring"
	"github.com/gridos/sharedinfra/internal/naming"
)

// annotated are the workloads whose pods have Prometheus' annotations by the values at a path, with
// the port at which each serves its metrics (the charts' defaults, versions as in workloads.yaml).
var annotated = map[string]struct{ path, port string }{
	"argocd-application-controller":    {"controller.podAnnotations", "8082"},
	"argocd-server":                    {"server.podAnnotations", "8083"},
	"argocd-repo-server":               {"repoServer.podAnnotations", "8084"},
	"argocd-applicationset-controller": {"applicationSet.podAnnotations", "8080"},
	"argocd-notifications-controller":  {"notifications.podAnnotations", "9001"},
	"argo-rollouts":                    {"controller.podAnnotations", "8090"},
	"external-secrets":                 {"podAnnotations", "8080"},
	"external-secrets-webhook":         {"webhook.podAnnotations", "8080"},
	"external-secrets-cert-controller": {"certController.podAnnotations", "8080"},
}

// annotatedByTheChart are the workloads whose pods the chart redis-ha annotates when their metrics
// are on (redis-ha 4.38.0, templates/redis-ha-statefulset.yaml and redis-haproxy-deployment.yaml).
var annotatedByTheChart = map[string]string{
	"argocd-redis-ha-server":  "redis-ha.exporter.enabled",
	"argocd-redis-ha-haproxy": "redis-ha.haproxy.metrics.enabled",
}

// Prometheus scrapes pods by their annotations, and reads none of Services.
func TestUnit_PrometheusScrapesAllThatBootstrapInstalls(t *testing.T) {
	t.Parallel()
	groups, err := monitoring.Groups()
	require.NoError(t, err)
	rules, err := json.Marshal(groups)
	require.NoError(t, err)
	for _, environment := range naming.Environments() {
		releases := given(t, environment)
		seen := map[string]bool{}
		for _, chart := range facts(t) {
			if chart.Release == "" {
				continue
			}
			values := valuesOfChart(t, releases, chart)
			for _, workload := range chart.Workloads {
				seen[workload.Name] = true
				if path := annotatedByTheChart[workload.Name]; path != "" {
					assert.Equal(t, true, valueAt(t, values, path), "%s: %s", environment, workload.Name)
					continue
				}
				by := annotated[workload.Name]
				require.NotEmpty(t, by, "%s: say by which values the pods of %s are scraped", environment, workload.Name)
				assert.Equal(t, map[string]any{"prometheus.io/scrape": "true", "prometheus.io/port": by.port},
					valueAt(t, values, by.path), "%s: %s", environment, workload.Name)
			}
		}
		assert.ElementsMatch(t, append(slices.Collect(maps.Keys(annotated)), slices.Collect(maps.Keys(annotatedByTheChart))...),
			slices.Collect(maps.Keys(seen)))
	}
	// An alert fires when one of these has no pod that is scraped. The other two of External Secrets
	// serve admission alone, which the API server asks.
	for name := range annotated {
		if name != "external-secrets-webhook" && name != "external-secrets-cert-controller" {
			assert.Contains(t, string(rules), `app_kubernetes_io_name=\"`+name+`\"`)
		}
	}
}
