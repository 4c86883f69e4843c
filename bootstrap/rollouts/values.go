package rollouts

import (
	"github.com/gridos/sharedinfra/bootstrap/helm"
	"github.com/gridos/sharedinfra/bootstrap/notifications"
)

// values are the keys of the chart argo-rollouts that the platform sets.
type values struct {
	InstallCRDs bool `json:"installCRDs"`
	// KeepCRDs leaves the definitions, and with them every Rollout, when the release is uninstalled.
	KeepCRDs     bool               `json:"keepCRDs"`
	Controller   controllerValues   `json:"controller"`
	ProviderRBAC providerRBACValues `json:"providerRBAC"`
	Dashboard    dashboardValues    `json:"dashboard"`
	// Notifications tell people of what Argo CD does not see.
	Notifications notificationsValues `json:"notifications"`
}

type controllerValues struct {
	// Replicas of more than one let the controllers elect a leader.
	Replicas  int                     `json:"replicas"`
	Resources helm.Resources          `json:"resources"`
	PDB       disruptionBudgetValues  `json:"pdb"`
	Spread    []helm.SpreadConstraint `json:"topologySpreadConstraints"`
	// PodAnnotations have Prometheus scrape the controller.
	PodAnnotations map[string]string `json:"podAnnotations"`
	// TrafficRouterPlugins is empty: Argo Rollouts speaks to Istio by itself.
	TrafficRouterPlugins []struct{} `json:"trafficRouterPlugins"`
}

type disruptionBudgetValues struct {
	Enabled bool `json:"enabled"`
	// MinAvailable must be said: enabled alone renders a budget of zero.
	MinAvailable int `json:"minAvailable"`
}

type providerRBACValues struct {
	Enabled   bool            `json:"enabled"`
	Providers map[string]bool `json:"providers"`
}

type notificationsValues struct {
	// ConfigMap is where the chart writes the other values.
	ConfigMap createValues `json:"configmap"`
	notifications.Values
}

type createValues struct {
	Create bool `json:"create"`
}

type dashboardValues struct {
	Enabled bool `json:"enabled"`
}

// metricsPort is the controller's port for metrics (argo-rollouts v1.9.0, controller/controller.go,
// DefaultMetricsPort).
const metricsPort = "8090"

// otherRouters are the traffic routers that the platform does not have; the chart gives the
// controller rights over the objects of each by default.
var otherRouters = []string{
	"smi", "ambassador", "awsLoadBalancerController", "awsAppMesh", "traefik", "apisix", "contour", "glooPlatform", "gatewayAPI",
}

func newValues(s Settings) (values, error) {
	told, err := s.Notifications.Values(s.Environment, s.subject(), events())
	if err != nil {
		return values{}, err
	}
	providers := map[string]bool{"istio": true}
	for _, router := range otherRouters {
		providers[router] = false
	}
	return values{
		InstallCRDs: true,
		KeepCRDs:    true,
		Controller: controllerValues{
			Replicas:  s.Replicas,
			Resources: helm.NewResources("100m", "128Mi", "512Mi"),
			// A single controller has no budget: it would keep its node from ever being drained.
			PDB: disruptionBudgetValues{Enabled: s.Replicas > 1, MinAvailable: 1},
			Spread: helm.Spread(map[string]string{
				"app.kubernetes.io/name":      "argo-rollouts",
				"app.kubernetes.io/instance":  releaseName,
				"app.kubernetes.io/component": "rollouts-controller",
			}),
			PodAnnotations:       helm.ScrapeAnnotations(metricsPort),
			TrafficRouterPlugins: []struct{}{},
		},
		ProviderRBAC: providerRBACValues{Enabled: true, Providers: providers},
		Dashboard:    dashboardValues{Enabled: false}, // it has no authentication
		Notifications: notificationsValues{
			ConfigMap: createValues{Create: true}, Values: told,
		},
	}, nil
}
