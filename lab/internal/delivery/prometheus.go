package delivery

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sigs.k8s.io/yaml"

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

// prometheus scrapes the application's pods under the same job name, and with the same labels, as
// the catalogue's Prometheus.
func (d *Delivery) prometheus() (*process.Process, error) {
	config, err := yaml.Marshal(map[string]any{
		"global": map[string]any{"scrape_interval": scrapeInterval.String(), "scrape_timeout": scrapeInterval.String()},
		"scrape_configs": []any{map[string]any{
			"job_name":        "kubernetes-pods",
			"http_sd_configs": []any{map[string]any{"url": d.Targets, "refresh_interval": scrapeInterval.String()}},
		}},
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(d.Dir, "prometheus.yaml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
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
