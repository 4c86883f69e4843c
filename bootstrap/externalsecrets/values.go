package externalsecrets

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/bootstrap/helm"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/untyped"
)

// values are the keys of the chart external-secrets that the platform sets.
type values struct {
	componentValues
	// InstallCRDs makes the definitions part of the release, which also upgrades them.
	InstallCRDs bool      `json:"installCRDs"`
	CRDs        crdValues `json:"crds"`
	// LeaderElect holds for the certificate controllers too: two that both write the webhook's
	// certificate would undo each other's work. Source: external-secrets 2.9.0,
	// templates/cert-controller-deployment.yaml.
	LeaderElect bool `json:"leaderElect"`
	// Kinds that the platform does not use need no rights: secrets flow from the key vault into the
	// cluster, one namespace at a time.
	ProcessClusterExternalSecret bool `json:"processClusterExternalSecret"`
	ProcessClusterPushSecret     bool `json:"processClusterPushSecret"`
	ProcessPushSecret            bool `json:"processPushSecret"`

	ServiceAccount serviceAccountValues `json:"serviceAccount"`
	PodLabels      map[string]string    `json:"podLabels"`
	// The chart has both probes of the controller switched off; without them it is ready as soon as it
	// is started.
	LivenessProbe  enabledValues `json:"livenessProbe"`
	ReadinessProbe enabledValues `json:"readinessProbe"`

	Webhook        componentValues `json:"webhook"`
	CertController componentValues `json:"certController"`
}

// componentValues are what the controller, the webhook and the certificate controller have in
// common.
type componentValues struct {
	ReplicaCount int                     `json:"replicaCount"`
	PDB          disruptionBudgetValues  `json:"podDisruptionBudget"`
	Spread       []helm.SpreadConstraint `json:"topologySpreadConstraints"`
	Resources    helm.Resources          `json:"resources"`
	// PodAnnotations have Prometheus scrape the pods.
	PodAnnotations map[string]string `json:"podAnnotations"`
}

type crdValues struct {
	Annotations map[string]string `json:"annotations"`
}

type serviceAccountValues struct {
	Create bool   `json:"create"`
	Name   string `json:"name"`
	// Annotations has the client id added when it is known.
	Annotations map[string]string `json:"annotations"`
}

type enabledValues struct {
	Enabled bool `json:"enabled"`
}

type disruptionBudgetValues struct {
	Enabled      bool `json:"enabled"`
	MinAvailable int  `json:"minAvailable"`
}

const (
	// releaseName is the release's name; the chart names its objects after it.
	releaseName = "external-secrets"
	// metricsPort is where each component serves its metrics, by the chart's default (external-secrets
	// 2.9.0, metrics.listen.port).
	metricsPort = "8080"
	// clientIDAnnotation names the identity as which a service account signs in to Entra; useLabel
	// says that a pod does so. Source: azure.github.io/azure-workload-identity, "Service Account
	// Labels and Annotations".
	clientIDAnnotation = "azure.workload.identity/client-id"
	useLabel           = "azure.workload.identity/use"
)

func newValues(s Settings) values {
	component := func(name, cpu, memory, limit string) componentValues {
		return componentValues{
			ReplicaCount: s.Replicas,
			// A single pod has no budget: it would keep its node from ever being drained.
			PDB: disruptionBudgetValues{Enabled: s.Replicas > 1, MinAvailable: 1},
			Spread: helm.Spread(map[string]string{
				"app.kubernetes.io/name":     name,
				"app.kubernetes.io/instance": releaseName,
			}),
			Resources:      helm.NewResources(cpu, memory, limit),
			PodAnnotations: helm.ScrapeAnnotations(metricsPort),
		}
	}
	return values{
		componentValues: component("external-secrets", "50m", "128Mi", "512Mi"),
		InstallCRDs:     true,
		// Without its definition Kubernetes would delete every ExternalSecret, and with it the
		// Secret that it owns.
		CRDs:        crdValues{Annotations: map[string]string{"helm.sh/resource-policy": "keep"}},
		LeaderElect: true,
		ServiceAccount: serviceAccountValues{
			Create: true, Name: naming.ServiceAccountExternalSecrets, Annotations: map[string]string{},
		},
		PodLabels:      map[string]string{useLabel: "true"},
		LivenessProbe:  enabledValues{Enabled: true},
		ReadinessProbe: enabledValues{Enabled: true},
		Webhook:        component("external-secrets-webhook", "20m", "64Mi", "256Mi"),
		CertController: component("external-secrets-cert-controller", "20m", "64Mi", "256Mi"),
	}
}

// input returns the values as the release takes them, with the client id of the identity in its
// place.
func (v values) input(clientID pulumi.StringInput) (pulumi.Map, error) {
	out, err := untyped.MapOf(v)
	if err != nil {
		return nil, fmt.Errorf("values of external-secrets: %w", err)
	}
	out["serviceAccount"].(pulumi.Map)["annotations"].(pulumi.Map)[clientIDAnnotation] = clientID
	return out, nil
}
