package catalogue

import (
	"github.com/gridos/sharedinfra/apps/monitoring"
	"github.com/gridos/sharedinfra/internal/untyped"
	"github.com/gridos/sharedinfra/internal/versions"
)

// prometheusValues are the values of the chart prometheus that the platform sets.
type prometheusValues struct {
	Server           prometheusServer  `json:"server"`
	ScrapeConfigs    prometheusScrapes `json:"scrapeConfigs"`
	ServerFiles      prometheusFiles   `json:"serverFiles"`
	Alertmanager     enabled           `json:"alertmanager"`
	KubeStateMetrics enabled           `json:"kube-state-metrics"`
	NodeExporter     enabled           `json:"prometheus-node-exporter"`
	Pushgateway      enabled           `json:"prometheus-pushgateway"`
}

type enabled struct {
	Enabled bool `json:"enabled"`
}

type prometheusServer struct {
	Global           prometheusGlobal `json:"global"`
	Retention        string           `json:"retention"`
	RetentionSize    string           `json:"retentionSize"`
	PersistentVolume prometheusVolume `json:"persistentVolume"`
	Resources        resources        `json:"resources"`
}

type prometheusGlobal struct {
	ScrapeInterval string `json:"scrape_interval"`
}

type prometheusVolume struct {
	Enabled bool   `json:"enabled"`
	Size    string `json:"size"`
}

type resources struct {
	Requests quantities `json:"requests"`
	Limits   quantities `json:"limits"`
}

type quantities struct {
	CPU    string `json:"cpu,omitempty"`
	Memory string `json:"memory"`
}

// prometheusFiles are files that the server reads, and reads again when they change.
type prometheusFiles struct {
	AlertingRules prometheusRules `json:"alerting_rules.yml"`
}

type prometheusRules struct {
	Groups []any `json:"groups"`
}

// prometheusScrapes are the scrape configurations of the chart, which turns all of them on.
type prometheusScrapes struct {
	Prometheus           enabled    `json:"prometheus"`
	Pods                 podScrapes `json:"kubernetes-pods"`
	PodsSlow             enabled    `json:"kubernetes-pods-slow"`
	APIServers           enabled    `json:"kubernetes-api-servers"`
	Nodes                enabled    `json:"kubernetes-nodes"`
	NodesCadvisor        enabled    `json:"kubernetes-nodes-cadvisor"`
	ServiceEndpoints     enabled    `json:"kubernetes-service-endpoints"`
	ServiceEndpointsSlow enabled    `json:"kubernetes-service-endpoints-slow"`
	Services             enabled    `json:"kubernetes-services"`
	Pushgateway          enabled    `json:"prometheus-pushgateway"`
}

type podScrapes struct {
	Enabled bool `json:"enabled"`
	// HonorLabels lets a pod say itself which labels its series have, such as the namespace.
	HonorLabels bool `json:"honor_labels"`
}

// prometheus returns what the analysis of a rollout and the alerts need, and no more. Azure's own
// resources are Azure Monitor's affair.
func prometheus() (prometheusValues, error) {
	groups, err := monitoring.Groups()
	if err != nil {
		return prometheusValues{}, err
	}
	return prometheusValues{
		Server: prometheusServer{
			// The first pause of a rollout is a minute: at the chart's own interval, a minute, a rate would
			// have one sample.
			Global: prometheusGlobal{ScrapeInterval: "15s"},
			// An analysis looks back minutes, and a person who asks why a rollout was aborted looks
			// back a few days. The size is what keeps the volume from filling up, and leaves room
			// for the write-ahead log.
			Retention: "7d", RetentionSize: "6GB",
			// On a volume: a rollout that is under way while Prometheus moves to another node must
			// not fail because data is missing.
			PersistentVolume: prometheusVolume{Enabled: true, Size: "8Gi"},
			// Without a limit on the CPU: a throttled Prometheus misses scrapes.
			Resources: resources{
				Requests: quantities{CPU: "100m", Memory: "512Mi"}, Limits: quantities{Memory: "1Gi"},
			},
		},
		// Pods say by their annotations that they have metrics: the application's, the mesh's gateway,
		// and those of gridos-bootstrap. Endpoints are the same pods over again; nodes and the API server
		// have nothing that analysis and alerts ask for. The chart honours labels: any pod of the cluster
		// could then count requests as the application's, and sway an analysis.
		ScrapeConfigs: prometheusScrapes{Prometheus: enabled{true}, Pods: podScrapes{Enabled: true, HonorLabels: false}},
		ServerFiles:   prometheusFiles{AlertingRules: prometheusRules{groups}},
		// Prometheus shows which alerts fire. It sends them where server.alertmanagers says, which only
		// an environment can know.
		Alertmanager: enabled{false},
		// The state of Kubernetes' objects and of the nodes is Azure Monitor's affair, and both would
		// read the whole cluster, the latter as root of every node.
		KubeStateMetrics: enabled{false},
		NodeExporter:     enabled{false},
		// There are no batch jobs to push for.
		Pushgateway: enabled{false},
	}, nil
}

// IsPrometheus reports whether the Application is the platform's Prometheus, from its chart.
func (a Application) IsPrometheus() bool {
	return a.Name == prometheusName && a.Spec.Source.Chart == versions.Prometheus.Name && a.Spec.Source.Helm != nil
}

// MetricsWriter is the way to an Azure Monitor workspace.
type MetricsWriter struct {
	// URL is where Prometheus writes to, ClientID and TenantID who it is there.
	URL, ClientID, TenantID string
}

// The values by which Prometheus writes to a workspace. Its version signs in with the token of its
// service account, which the label makes AKS put into the pod (Prometheus 3.14.0,
// storage/remote/azuread; azure-monitor-docs, metrics/prometheus-remote-write, 16 September 2025).
type sendingValues struct {
	Server sendingServer `json:"server"`
}

type sendingServer struct {
	PodLabels   map[string]string `json:"podLabels"`
	RemoteWrite []remoteWrite     `json:"remoteWrite"`
}

type remoteWrite struct {
	URL     string    `json:"url"`
	Relabel []relabel `json:"write_relabel_configs"`
	AzureAD azureAD   `json:"azuread"`
}

type relabel struct {
	Target      string `json:"target_label"`
	Replacement string `json:"replacement"`
}

type azureAD struct {
	Cloud            string           `json:"cloud"`
	WorkloadIdentity workloadIdentity `json:"workload_identity"`
}

type workloadIdentity struct {
	ClientID string `json:"client_id"`
	TenantID string `json:"tenant_id"`
}

// SendingMetrics returns the chart's values with those by which Prometheus writes to a workspace
// under them: what the configuration of an environment says itself stays.
func SendingMetrics(values map[string]any, environment string, to MetricsWriter) (map[string]any, error) {
	sending, err := untyped.PlainOf(sendingValues{Server: sendingServer{
		PodLabels: map[string]string{"azure.workload.identity/use": "true"},
		RemoteWrite: []remoteWrite{{
			URL: to.URL,
			// A workspace may have the metrics of several environments.
			Relabel: []relabel{{Target: "environment", Replacement: environment}},
			AzureAD: azureAD{
				Cloud: "AzurePublic", WorkloadIdentity: workloadIdentity{ClientID: to.ClientID, TenantID: to.TenantID},
			},
		}},
	}})
	if err != nil {
		return nil, err
	}
	return laidOver(sending, values), nil
}
