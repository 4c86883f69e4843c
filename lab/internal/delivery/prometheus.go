package delivery

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery/scraping"
	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

const (
	// PrometheusHost is the name of Prometheus in the AnalysisTemplates: the Service of the
	// catalogue's Application prometheus.
	PrometheusHost = "prometheus-server.monitoring"
	// GatewayHost is their name for AKS' Service of the mesh's gateway.
	GatewayHost = naming.IstioInternalIngress + "." + naming.NamespaceIstioIngress
)

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

// evaluationInterval is how often the chart's Prometheus evaluates rules (chart prometheus 29.27.0,
// values.yaml).
const evaluationInterval = "1m"

// programs are those whose metrics Prometheus finds at their pods. The ports are the programs' own
// defaults (argo-cd v3.2.11 common/common.go and cmd/argocd-notification/commands/controller.go;
// argo-rollouts v1.9.0 controller/controller.go; external-secrets v2.9.0 cmd/controller/root.go).
func (d *Delivery) programs() []scraping.Program {
	program := func(namespace, name string, inPod int, here string) scraping.Program {
		return scraping.Program{Namespace: namespace, Name: name, Port: inPod, Address: here}
	}
	return []scraping.Program{
		program(naming.NamespaceArgoCD, ApplicationController, 8082, process.HostPort(d.ports.controllerMetrics)),
		program(naming.NamespaceArgoCD, Server, 8083, process.HostPort(d.ports.serverMetrics)),
		program(naming.NamespaceArgoCD, RepoServer, 8084, process.HostPort(d.ports.repoServerMetrics)),
		program(naming.NamespaceArgoCD, Notifications, 9001, process.HostPort(d.ports.notificationsMetrics)),
		program(naming.NamespaceArgoRollouts, Rollouts, 8090, process.HostPort(d.ports.rolloutsMetrics)),
		program(naming.NamespaceExternalSecrets, naming.NamespaceExternalSecrets, 8080, d.ExternalSecrets),
	}
}

// prometheusFiles writes what Prometheus reads, and returns the path of its configuration: the jobs
// and the rules that the platform's values give it.
func (d *Delivery) prometheusFiles(rules Rules) (string, error) {
	var groups any = rules.Groups
	if len(rules.Groups) == 0 {
		inGit, found, err := unstructured.NestedSlice(d.Prometheus, "serverFiles", "alerting_rules.yml", "groups")
		if err != nil || !found {
			return "", errors.Join(errors.New("the values of the chart prometheus have no serverFiles.alerting_rules.yml.groups"), err)
		}
		groups = inGit
	}
	jobs, _, err := scraping.Jobs(d.Prometheus, scraping.Here{
		Kubeconfig: d.kubeconfig(naming.NamespaceArgoCD), Proxy: d.scraped.URL(), Prometheus: process.HostPort(d.ports.prometheus),
	})
	if err != nil {
		return "", err
	}
	rulesFile := filepath.Join(d.Dir, "alerting_rules.yaml")
	file := filepath.Join(d.Dir, "prometheus.yaml")
	for path, content := range map[string]any{
		rulesFile: map[string]any{"groups": groups},
		file: map[string]any{
			"global": map[string]any{
				"scrape_interval": scraping.Interval.String(), "scrape_timeout": scraping.Interval.String(),
				"evaluation_interval": cmp.Or(rules.Interval, evaluationInterval),
			},
			"rule_files":     []string{rulesFile},
			"scrape_configs": jobs,
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
			"--scrape.discovery-reload-interval=" + scraping.Interval.String(),
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
