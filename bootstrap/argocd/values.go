package argocd

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/bootstrap/helm"
	"github.com/gridos/sharedinfra/bootstrap/notifications"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/untyped"
)

// values are the keys of the chart argo-cd that the platform sets. A test compares them with those
// that the chart knows: Helm itself ignores a key that no template reads. Secrets have no field
// here, see [values.input].
type values struct {
	Global          globalValues        `json:"global"`
	CRDs            crdValues           `json:"crds"`
	Configs         configValues        `json:"configs"`
	Controller      componentValues     `json:"controller"`
	Server          serverValues        `json:"server"`
	RepoServer      repoServerValues    `json:"repoServer"`
	ApplicationSet  componentValues     `json:"applicationSet"`
	Dex             enabledValues       `json:"dex"`
	Notifications   notificationsValues `json:"notifications"`
	RedisHA         redisHAValues       `json:"redis-ha"`
	RedisSecretInit resourcesOnlyValues `json:"redisSecretInit"`
}

type globalValues struct {
	// Domain is the host name of the user interface; the chart's own default is an example.
	Domain string `json:"domain"`
	// TopologySpreadConstraints hold for every component of Argo CD itself; the chart fills in whom
	// each is for.
	TopologySpreadConstraints []spreadValues      `json:"topologySpreadConstraints"`
	NetworkPolicy             networkPolicyValues `json:"networkPolicy"`
}

type spreadValues struct {
	MaxSkew           int    `json:"maxSkew"`
	TopologyKey       string `json:"topologyKey"`
	WhenUnsatisfiable string `json:"whenUnsatisfiable"`
}

type networkPolicyValues struct {
	// Create gives each component a policy that allows only the clients that need it.
	Create bool `json:"create"`
	// DefaultDenyIngress would close every other pod of the namespace too. The pods of Redis have
	// the policies of their own chart: see [redisPolicyValues].
	DefaultDenyIngress bool `json:"defaultDenyIngress"`
}

type crdValues struct {
	// Install makes them part of the release, so that an update of the chart updates them.
	Install bool `json:"install"`
	// Keep leaves the CRDs, and with them every Application, when the release is uninstalled.
	Keep bool `json:"keep"`
}

type configValues struct {
	// CM, Params and RBAC are the entries of argocd-cm, argocd-cmd-params-cm and argocd-rbac-cm.
	CM     configMapValues `json:"cm"`
	Params paramValues     `json:"params"`
	RBAC   rbacValues      `json:"rbac"`
	Secret secretValues    `json:"secret"`
}

type configMapValues struct {
	AdminEnabled     bool `json:"admin.enabled"`
	AnonymousEnabled bool `json:"users.anonymous.enabled"`
	// ExecEnabled would give a shell in pods to every user who has that right in the user
	// interface.
	ExecEnabled bool   `json:"exec.enabled"`
	OIDC        string `json:"oidc.config,omitempty"`
	// TrackingMethod says how Argo CD recognises the objects that it manages: charts also set the
	// label of the default method.
	TrackingMethod string `json:"application.resourceTrackingMethod"`
	// ApplicationHealth is a Lua script. Argo CD has none of its own for an Application, and without
	// one an application of applications starts its next wave before the last one is healthy.
	ApplicationHealth string `json:"resource.customizations.health.argoproj.io_Application"`
	// Reconciliation is how often Argo CD asks Git; ReconciliationJitter adds a random delay of at
	// most that long, so that Argo CD does not refresh all Applications at once. Argo CD skips a
	// refresh that comes a little too early after the last one, so it finds a commit after twice
	// the first and once the second at the latest: with the chart's 120s and 60s that would be five
	// minutes, and the platform promises three.
	Reconciliation       string `json:"timeout.reconciliation"`
	ReconciliationJitter string `json:"timeout.reconciliation.jitter"`
	// MaxWebhookPayload bounds the request that any client can make the server read, in megabytes.
	MaxWebhookPayload string `json:"webhook.maxPayloadSizeMB"`
}

type paramValues struct {
	// ServerInsecure serves plain HTTP: TLS ends at the gateway in front.
	ServerInsecure bool `json:"server.insecure"`
	// ApplicationSetPolicy is what a generator may do to Applications. A generator that finds nothing,
	// say because Git does not answer, must not delete what runs.
	ApplicationSetPolicy string `json:"applicationsetcontroller.policy"`
}

type rbacValues struct {
	// DefaultPolicy is the role of users who have no other; empty means none.
	DefaultPolicy string `json:"policy.default"`
	PolicyCSV     string `json:"policy.csv"`
	// Scopes are the claims of a person's token that policies name.
	Scopes string `json:"scopes"`
}

type secretValues struct {
	// AdminPasswordMtime is pinned: the chart's default is now, which would change the release at
	// every update.
	AdminPasswordMtime string `json:"argocdServerAdminPasswordMtime"`
}

type componentValues struct {
	Replicas  int                     `json:"replicas"`
	Resources resourceValues          `json:"resources"`
	PDB       *disruptionBudgetValues `json:"pdb,omitempty"`
	metricsValues
}

// metricsValues have Prometheus scrape the pods of a component.
type metricsValues struct {
	// Metrics opens the port: where it is off, the component's network policy does not let Prometheus
	// in.
	Metrics        enabledValues     `json:"metrics"`
	PodAnnotations map[string]string `json:"podAnnotations"`
}

// scraped returns the values for a component that serves its metrics at port.
func scraped(port string) metricsValues {
	return metricsValues{Metrics: enabledValues{true}, PodAnnotations: helm.ScrapeAnnotations(port)}
}

// The ports of the components' metrics, by the chart's defaults (argo-cd 10.1.1,
// containerPorts.metrics).
const (
	controllerMetricsPort     = "8082"
	serverMetricsPort         = "8083"
	repoServerMetricsPort     = "8084"
	applicationSetMetricsPort = "8080"
	notificationsMetricsPort  = "9001"
)

type serverValues struct {
	// Autoscaling decides the replicas: with it the chart does not render server.replicas.
	Autoscaling autoscalingValues       `json:"autoscaling"`
	Resources   resourceValues          `json:"resources"`
	PDB         *disruptionBudgetValues `json:"pdb"`
	metricsValues
	PodLabels      map[string]string     `json:"podLabels,omitempty"`
	ServiceAccount *serviceAccountValues `json:"serviceAccount,omitempty"`
}

type serviceAccountValues struct {
	Annotations map[string]string `json:"annotations"`
}

type repoServerValues struct {
	componentValues
	Copyutil resourcesOnlyValues `json:"copyutil"`
}

type autoscalingValues struct {
	Enabled      bool `json:"enabled"`
	MinReplicas  int  `json:"minReplicas"`
	MaxReplicas  int  `json:"maxReplicas"`
	CPUTarget    int  `json:"targetCPUUtilizationPercentage"`
	MemoryTarget int  `json:"targetMemoryUtilizationPercentage"`
}

type resourcesOnlyValues struct {
	Resources resourceValues `json:"resources"`
}

type resourceValues struct {
	// Requests are what the scheduler reserves and what autoscaling measures utilisation against.
	// There are no limits: a controller that is throttled or killed under load reconciles later, and
	// the load is no less for it.
	Requests requestValues `json:"requests"`
}

type requestValues struct {
	CPU    string `json:"cpu"`
	Memory string `json:"memory"`
}

type disruptionBudgetValues struct {
	Enabled bool `json:"enabled"`
	// MaxUnavailable must be said: enabled alone renders a budget that protects nothing.
	MaxUnavailable int `json:"maxUnavailable"`
}

type enabledValues struct {
	Enabled bool `json:"enabled"`
}

type notificationsValues struct {
	Enabled   bool           `json:"enabled"`
	Resources resourceValues `json:"resources"`
	metricsValues
	notifications.Values
}

// redisHAValues are those of the subchart redis-ha.
type redisHAValues struct {
	Enabled  bool `json:"enabled"`
	Replicas int  `json:"replicas"`
	// HardAntiAffinity has one Redis at most on a node.
	HardAntiAffinity    bool                `json:"hardAntiAffinity"`
	Spread              redisSpreadValues   `json:"topologySpreadConstraints"`
	PDB                 budgetValues        `json:"podDisruptionBudget"`
	NetworkPolicy       redisPolicyValues   `json:"networkPolicy"`
	Redis               resourcesOnlyValues `json:"redis"`
	Sentinel            resourcesOnlyValues `json:"sentinel"`
	SplitBrainDetection resourcesOnlyValues `json:"splitBrainDetection"`
	Init                resourcesOnlyValues `json:"init"`
	Exporter            exporterValues      `json:"exporter"`
	HAProxy             redisHAProxyValues  `json:"haproxy"`
}

type redisSpreadValues struct {
	Enabled bool `json:"enabled"`
	spreadValues
}

type budgetValues struct {
	MaxUnavailable int `json:"maxUnavailable"`
}

type exporterValues struct {
	Enabled   bool           `json:"enabled"`
	Resources resourceValues `json:"resources"`
}

// redisPolicyValues let in only the clients that need the pods. Redis asks for a password, but
// Sentinel asks for none: without a policy every pod of the cluster could name another Redis for it
// to follow, and read the password that Sentinel sends there.
type redisPolicyValues struct {
	Enabled bool `json:"enabled"`
	// IngressRules are added to those that the chart has anyway: for Redis from Redis and HAProxy,
	// for HAProxy from Redis.
	IngressRules []ingressRuleValues `json:"ingressRules"`
}

type ingressRuleValues struct {
	Selectors []peerValues `json:"selectors"`
	// Ports may be empty: the rule then has those of Redis and Sentinel. In a rule for HAProxy the
	// chart adds these to Ports.
	Ports []portValues `json:"ports,omitempty"`
}

// peerValues are pods: of the namespaces that NamespaceSelector selects, or of the policy's own.
type peerValues struct {
	NamespaceSelector *labelSelectorValues `json:"namespaceSelector,omitempty"`
	PodSelector       labelSelectorValues  `json:"podSelector"`
}

type labelSelectorValues struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

type portValues struct {
	Port     int    `json:"port"`
	Protocol string `json:"protocol"`
}

// strategyValues are the strategy of a Deployment.
type strategyValues struct {
	Type          string              `json:"type"`
	RollingUpdate rollingUpdateValues `json:"rollingUpdate"`
}

type rollingUpdateValues struct {
	MaxSurge       int `json:"maxSurge"`
	MaxUnavailable int `json:"maxUnavailable"`
}

type redisHAProxyValues struct {
	Replicas         int  `json:"replicas"`
	HardAntiAffinity bool `json:"hardAntiAffinity"`
	// Strategy deletes a pod before it creates the next. By Kubernetes' default of 25 % the next
	// comes first, and no two pods share a node: with as many replicas as nodes it would have
	// nowhere to go (argo-cd issues 8122 and 16627).
	Strategy      strategyValues      `json:"deploymentStrategy"`
	PDB           budgetValues        `json:"podDisruptionBudget"`
	NetworkPolicy redisPolicyValues   `json:"networkPolicy"`
	Resources     resourceValues      `json:"resources"`
	Init          resourcesOnlyValues `json:"init"`
	Metrics       enabledValues       `json:"metrics"`
}

// applicationHealth is the script that Argo CD's manual gives for applications of applications
// ("Resource Health").
const applicationHealth = `hs = {}
hs.status = "Progressing"
hs.message = ""
if obj.status ~= nil then
  if obj.status.health ~= nil then
    hs.status = obj.status.health.status
    if obj.status.health.message ~= nil then
      hs.message = obj.status.health.message
    end
  end
end
return hs
`

func newValues(s Settings) (values, error) {
	oidc, err := s.SSO.oidc()
	if err != nil {
		return values{}, err
	}
	told, err := s.Notifications.Values(s.Environment, subject, events())
	if err != nil {
		return values{}, fmt.Errorf("notifications: %w", err)
	}
	return values{
		Global: globalValues{
			Domain: s.Domain,
			TopologySpreadConstraints: []spreadValues{
				spread("topology.kubernetes.io/zone"), spread("kubernetes.io/hostname"),
			},
			NetworkPolicy: networkPolicyValues{Create: true},
		},
		CRDs: crdValues{Install: true, Keep: true},
		Configs: configValues{
			CM: configMapValues{
				AdminEnabled:      s.Admin,
				OIDC:              oidc,
				TrackingMethod:    "annotation",
				ApplicationHealth: applicationHealth,
				Reconciliation:    "60s", ReconciliationJitter: "30s",
				MaxWebhookPayload: "10",
			},
			Params: paramValues{ServerInsecure: true, ApplicationSetPolicy: "create-update"},
			RBAC:   rbacValues{DefaultPolicy: "", PolicyCSV: s.Groups.policy(), Scopes: "[groups, email]"},
			Secret: secretValues{AdminPasswordMtime: s.AdminPasswordIssued},
		},
		Controller: componentValues{
			Replicas: s.ControllerReplicas,
			// No budget: no controller takes over from another, so one could only keep a node from being
			// drained.
			Resources:     request("250m", "1Gi"),
			metricsValues: scraped(controllerMetricsPort),
		},
		Server: newServerValues(s),
		RepoServer: repoServerValues{
			componentValues: componentValues{
				Replicas: s.RepoServerReplicas, Resources: request("100m", "256Mi"), PDB: oneAtATime(),
				metricsValues: scraped(repoServerMetricsPort),
			},
			Copyutil: resourcesOnlyValues{request("10m", "32Mi")},
		},
		ApplicationSet: componentValues{
			Replicas: s.ApplicationSetReplicas, Resources: request("50m", "128Mi"), PDB: oneAtATime(),
			metricsValues: scraped(applicationSetMetricsPort),
		},
		Dex: enabledValues{false}, // Argo CD talks to Entra itself
		Notifications: notificationsValues{
			Enabled: true, Resources: request("50m", "128Mi"), metricsValues: scraped(notificationsMetricsPort), Values: told,
		},
		RedisHA:         newRedisHAValues(s.RedisReplicas),
		RedisSecretInit: resourcesOnlyValues{request("10m", "64Mi")},
	}, nil
}

func newServerValues(s Settings) serverValues {
	v := serverValues{
		Autoscaling: autoscalingValues{
			Enabled: true, MinReplicas: s.ServerMinReplicas, MaxReplicas: s.ServerMaxReplicas,
			CPUTarget: 70, MemoryTarget: 80,
		},
		Resources:     request("100m", "256Mi"),
		PDB:           oneAtATime(),
		metricsValues: scraped(serverMetricsPort),
	}
	if s.SSO.workloadIdentity() {
		v.PodLabels = map[string]string{"azure.workload.identity/use": "true"}
		v.ServiceAccount = &serviceAccountValues{Annotations: map[string]string{
			"azure.workload.identity/client-id": s.SSO.ClientID,
			"azure.workload.identity/tenant-id": s.SSO.TenantID,
		}}
	}
	return v
}

func newRedisHAValues(replicas int) redisHAValues {
	return redisHAValues{
		Enabled:             true,
		Replicas:            replicas,
		HardAntiAffinity:    true,
		Spread:              redisSpreadValues{Enabled: true, spreadValues: spread("topology.kubernetes.io/zone")},
		PDB:                 budgetValues{MaxUnavailable: 1},
		NetworkPolicy:       redisPolicyValues{Enabled: true, IngressRules: []ingressRuleValues{fromPrometheus(redisExporterPort)}},
		Redis:               resourcesOnlyValues{request("100m", "128Mi")},
		Sentinel:            resourcesOnlyValues{request("20m", "32Mi")},
		SplitBrainDetection: resourcesOnlyValues{request("10m", "32Mi")},
		Init:                resourcesOnlyValues{request("10m", "32Mi")},
		Exporter:            exporterValues{Enabled: true, Resources: request("10m", "32Mi")},
		HAProxy: redisHAProxyValues{
			Replicas:         replicas,
			HardAntiAffinity: true,
			Strategy: strategyValues{
				Type: "RollingUpdate", RollingUpdate: rollingUpdateValues{MaxSurge: 0, MaxUnavailable: 1},
			},
			PDB: budgetValues{MaxUnavailable: 1},
			NetworkPolicy: redisPolicyValues{Enabled: true, IngressRules: []ingressRuleValues{
				fromArgoCD("argocd-server", "argocd-repo-server", "argocd-application-controller"),
				fromPrometheus(haproxyMetricsPort),
			}},
			Resources: request("50m", "64Mi"),
			Init:      resourcesOnlyValues{request("10m", "32Mi")},
			Metrics:   enabledValues{true},
		},
	}
}

// The ports of the metrics, by the defaults of the chart redis-ha (4.38.0).
const (
	redisExporterPort  = 9121
	haproxyMetricsPort = 9101
)

// fromArgoCD lets the named components of Argo CD speak with Redis. They are those that Argo CD's
// own manifests let in (Argo CD 3.2.11,
// manifests/ha/base/redis-ha/argocd-redis-ha-proxy-network-policy.yaml).
func fromArgoCD(components ...string) ingressRuleValues {
	var rule ingressRuleValues
	for _, name := range components {
		rule.Selectors = append(rule.Selectors, peerValues{PodSelector: labelSelectorValues{map[string]string{
			"app.kubernetes.io/name": name, "app.kubernetes.io/instance": releaseName,
		}}})
	}
	return rule
}

// fromPrometheus lets Prometheus read the metrics at port. The label is that of the chart
// prometheus (29.27.0).
func fromPrometheus(port int) ingressRuleValues {
	return ingressRuleValues{
		Selectors: []peerValues{{
			NamespaceSelector: &labelSelectorValues{map[string]string{"kubernetes.io/metadata.name": naming.NamespaceMonitoring}},
			PodSelector:       labelSelectorValues{map[string]string{"app.kubernetes.io/name": "prometheus"}},
		}},
		Ports: []portValues{{port, "TCP"}},
	}
}

func request(cpu, memory string) resourceValues {
	return resourceValues{Requests: requestValues{CPU: cpu, Memory: memory}}
}

// spread asks for an even spread but does not require it: a zone that is down must not keep a pod
// from starting.
func spread(over string) spreadValues {
	return spreadValues{MaxSkew: 1, TopologyKey: over, WhenUnsatisfiable: "ScheduleAnyway"}
}

// oneAtATime is a budget that also lets a component with a single replica go when its node has to.
func oneAtATime() *disruptionBudgetValues {
	return &disruptionBudgetValues{Enabled: true, MaxUnavailable: 1}
}

// secrets are the values of the release that must stay secret.
type secrets struct {
	// AdminPasswordHash is made by bcrypt.
	AdminPasswordHash pulumi.StringInput
	// WebhookSecret is shared with GitHub, which signs with it what it sends.
	WebhookSecret pulumi.StringInput
	// SSOClientSecret is nil where there is none.
	SSOClientSecret pulumi.StringInput
}

// input returns the values as the release takes them, with the secrets in their places. Only these
// are outputs, so that a preview shows every other value.
func (v values) input(s secrets) (pulumi.Map, error) {
	out, err := untyped.MapOf(v)
	if err != nil {
		return nil, fmt.Errorf("values of argo-cd: %w", err)
	}
	secret, err := mapAt(out, "configs", "secret")
	if err != nil {
		return nil, err
	}
	secret["argocdServerAdminPassword"] = s.AdminPasswordHash
	secret["githubSecret"] = s.WebhookSecret
	if s.SSOClientSecret != nil {
		secret["extra"] = pulumi.Map{clientSecretKey: s.SSOClientSecret}
	}
	return out, nil
}

func mapAt(m pulumi.Map, path ...string) (pulumi.Map, error) {
	for _, key := range path {
		nested, ok := m[key].(pulumi.Map)
		if !ok {
			return nil, fmt.Errorf("values of argo-cd have no object %s", key)
		}
		m = nested
	}
	return m, nil
}
