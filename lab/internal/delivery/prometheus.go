package delivery

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/apps/monitoring"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

const (
	// PrometheusHost is the name of Prometheus in the AnalysisTemplates: the Service of the
	// catalogue's Application prometheus.
	PrometheusHost = "prometheus-server.monitoring"
	// GatewayHost is their name for AKS' Service of the mesh's gateway.
	GatewayHost = naming.IstioInternalIngress + "." + naming.NamespaceIstioIngress
	// scrapeInterval is a second instead of the chart's minute, because the windows of the queries
	// are short as well.
	scrapeInterval = time.Second
)

// componentInterval is how often Argo CD, Argo Rollouts and Prometheus are scraped, for alerts and
// dashboards: no query about them has a short window.
const componentInterval = 5 * time.Second

// Rules are rules for Prometheus to evaluate instead of those in Git. Without groups they are those
// in Git.
type Rules struct {
	Groups []RuleGroup `json:"groups"`
	// Interval is how often they are evaluated, as Prometheus writes it; by default once a minute.
	Interval string `json:"interval"`
}

// RuleGroup is a group of a rule file of Prometheus.
type RuleGroup struct {
	Name  string `json:"name"`
	Rules []Rule `json:"rules"`
}

// Rule is a rule that alerts, or one that records.
type Rule struct {
	Alert       string            `json:"alert,omitempty"`
	Record      string            `json:"record,omitempty"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// target is a program of the lab that serves metrics at an address. Its labels are those that the
// chart's job kubernetes-pods gives the series of its pod.
func target(namespace, name, address string) map[string]any {
	return map[string]any{
		"targets": []string{address},
		"labels":  map[string]string{"job": podsJob, "namespace": namespace, "pod": name, "app_kubernetes_io_name": name},
	}
}

const podsJob = "kubernetes-pods"

// evaluationInterval is how often the chart's Prometheus evaluates rules (chart prometheus 29.27.0,
// values.yaml).
const evaluationInterval = "1m"

// prometheusFiles writes what Prometheus reads, and returns the path of its configuration. It
// scrapes the application's pods, and the components, under the same job name and with the same
// labels as the catalogue's Prometheus.
func (d *Delivery) prometheusFiles(rules Rules) (string, error) {
	var groups any = rules.Groups
	if len(rules.Groups) == 0 {
		inGit, err := monitoring.Groups()
		if err != nil {
			return "", err
		}
		groups = inGit
	}
	rulesFile := filepath.Join(d.Dir, "alerting_rules.yaml")
	file := filepath.Join(d.Dir, "prometheus.yaml")
	for path, content := range map[string]any{
		rulesFile: map[string]any{"groups": groups},
		file: map[string]any{
			"global": map[string]any{
				"scrape_interval": scrapeInterval.String(), "scrape_timeout": scrapeInterval.String(),
				"evaluation_interval": cmp.Or(rules.Interval, evaluationInterval),
			},
			"rule_files": []string{rulesFile},
			"scrape_configs": []any{
				map[string]any{
					"job_name":        podsJob,
					"http_sd_configs": []any{map[string]any{"url": d.Targets, "refresh_interval": scrapeInterval.String()}},
				},
				map[string]any{
					"job_name": "components", "scrape_interval": componentInterval.String(),
					"static_configs": []any{
						target(naming.NamespaceArgoCD, ApplicationController, process.HostPort(d.ports.controllerMetrics)),
						target(naming.NamespaceArgoCD, RepoServer, process.HostPort(d.ports.repoServerMetrics)),
						target(naming.NamespaceArgoCD, Server, process.HostPort(d.ports.serverMetrics)),
						target(naming.NamespaceArgoCD, Notifications, process.HostPort(d.ports.notificationsMetrics)),
						target(naming.NamespaceArgoRollouts, Rollouts, process.HostPort(d.ports.rolloutsMetrics)),
						target(naming.NamespaceExternalSecrets, naming.NamespaceExternalSecrets, d.ExternalSecrets),
					},
				},
				map[string]any{
					"job_name": "prometheus", "scrape_interval": componentInterval.String(),
					"static_configs": []any{map[string]any{"targets": []string{process.HostPort(d.ports.prometheus)}}},
				},
			},
		},
	} {
		text, err := yaml.Marshal(content)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return "", err
		}
	}
	return file, nil
}

func (d *Delivery) prometheus() (*process.Process, error) {
	file, err := d.prometheusFiles(Rules{})
	if err != nil {
		return nil, err
	}
	return &process.Process{
		Path: d.Binaries.Prometheus,
		Args: []string{
			"--config.file=" + file,
			"--storage.tsdb.path=" + filepath.Join(d.Dir, "prometheus"),
			"--storage.tsdb.retention.time=2h",
			"--web.listen-address=" + process.HostPort(d.ports.prometheus),
			"--log.level=warn",
			// The default is five seconds, on top of the five that service discovery takes.
			"--scrape.discovery-reload-interval=" + scrapeInterval.String(),
		},
		Ready: d.PrometheusURL() + "/-/ready",
	}, nil
}

// SetRules makes Prometheus read other rules, and go on with its data. It does not wait for that. A
// signal is used because the HTTP endpoint would let every user of the machine stop Prometheus.
func (d *Delivery) SetRules(rules Rules) error {
	prometheus := d.components[Prometheus]
	if prometheus == nil || prometheus.PID() == 0 {
		return fmt.Errorf("%s does not run; try again when it does", Prometheus)
	}
	if _, err := d.prometheusFiles(rules); err != nil {
		return err
	}
	if err := syscall.Kill(prometheus.PID(), syscall.SIGHUP); err != nil {
		return fmt.Errorf("make %s read its rules again: %w", Prometheus, err)
	}
	return nil
}

// forwardProxy is a proxy for HTTP_PROXY that sends requests for each given host to a URL.
// Processes of this machine cannot use the cluster's name service.
func forwardProxy(hosts map[string]*url.URL) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target := hosts[r.URL.Host]
		if target == nil {
			problem := fmt.Sprintf("the lab has no host %q; it has %s", r.URL.Host, slices.Sorted(maps.Keys(hosts)))
			http.Error(w, problem, http.StatusBadGateway)
			return
		}
		forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
		forward.ServeHTTP(w, r)
	})
}
