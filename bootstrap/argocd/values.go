package argocd

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/untyped"
)

// values are the keys of the argo-cd chart (10.1.1) that the platform sets.
type values struct {
	Global         globalValues         `json:"global"`
	CRDs           crdValues            `json:"crds"`
	Configs        configValues         `json:"configs"`
	Controller     componentValues      `json:"controller"`
	Server         serverValues         `json:"server"`
	RepoServer     componentValues      `json:"repoServer"`
	ApplicationSet componentValues      `json:"applicationSet"`
	RedisHA        redisHighAvailValues `json:"redis-ha"`
}

type globalValues struct {
	// Domain is the host name of the user interface; the chart's own default is an example.
	Domain string `json:"domain"`
}

type crdValues struct {
	Install bool `json:"install"`
	// Keep leaves the CRDs, and with them every Application, when the release is uninstalled.
	Keep bool `json:"keep"`
}

type configValues struct {
	Params map[string]any `json:"params"`
	RBAC   rbacValues     `json:"rbac"`
	Secret secretValues   `json:"secret"`
}

type rbacValues struct {
	// DefaultPolicy is the role of whoever has no other; empty means none.
	DefaultPolicy string `json:"policy.default"`
}

type secretValues struct {
	// AdminPasswordMtime is pinned: the chart's default is now, which would change the release at every update.
	AdminPasswordMtime string `json:"argocdServerAdminPasswordMtime"`
}

type componentValues struct {
	Replicas  int                     `json:"replicas"`
	Resources resourceValues          `json:"resources"`
	PDB       *disruptionBudgetValues `json:"pdb,omitempty"`
}

type serverValues struct {
	// Autoscaling decides the replicas: with it the chart does not render server.replicas.
	Autoscaling autoscalingValues       `json:"autoscaling"`
	Resources   resourceValues          `json:"resources"`
	PDB         *disruptionBudgetValues `json:"pdb"`
}

type autoscalingValues struct {
	Enabled     bool `json:"enabled"`
	MinReplicas int  `json:"minReplicas"`
	MaxReplicas int  `json:"maxReplicas"`
}

type resourceValues struct {
	// Requests are what autoscaling measures utilisation against.
	Requests map[string]string `json:"requests"`
}

type disruptionBudgetValues struct {
	Enabled bool `json:"enabled"`
	// MinAvailable must be said: enabled alone renders a budget of zero.
	MinAvailable int `json:"minAvailable"`
}

type redisHighAvailValues struct {
	Enabled  bool               `json:"enabled"`
	Replicas int                `json:"replicas"`
	HAProxy  redisHAProxyValues `json:"haproxy"`
}

type redisHAProxyValues struct {
	Replicas int `json:"replicas"`
}

// passwordMtime is a fixed moment. Argo CD ends sessions that are older, so move it when the password is replaced.
const passwordMtime = "2024-01-01T00:00:00Z"

func newValues(s Settings) values {
	budget := &disruptionBudgetValues{Enabled: true, MinAvailable: 1}
	small := resourceValues{Requests: map[string]string{"cpu": "100m", "memory": "256Mi"}}
	return values{
		Global: globalValues{Domain: s.Domain},
		CRDs:   crdValues{Install: true, Keep: true},
		Configs: configValues{
			Params: map[string]any{"server.insecure": true}, // TLS is to end in front of it
			RBAC:   rbacValues{DefaultPolicy: ""},
			Secret: secretValues{AdminPasswordMtime: passwordMtime},
		},
		Controller: componentValues{
			Replicas:  s.ControllerReplicas,
			Resources: resourceValues{Requests: map[string]string{"cpu": "250m", "memory": "1Gi"}},
		},
		Server: serverValues{
			Autoscaling: autoscalingValues{
				Enabled: true, MinReplicas: s.ServerMinReplicas, MaxReplicas: s.ServerMaxReplicas,
			},
			Resources: small,
			PDB:       budget,
		},
		RepoServer:     componentValues{Replicas: s.RepoServerReplicas, Resources: small, PDB: budget},
		ApplicationSet: componentValues{Replicas: s.ApplicationSetReplicas, Resources: small, PDB: budget},
		RedisHA: redisHighAvailValues{
			Enabled:  true,
			Replicas: s.RedisReplicas,
			HAProxy:  redisHAProxyValues{Replicas: s.RedisReplicas},
		},
	}
}

// input returns the values as the release takes them, with the bcrypt hash of the admin's password in its place. Only the
// hash is an output, so that a preview shows every other value.
func (v values) input(passwordHash pulumi.StringInput) (pulumi.Map, error) {
	out, err := untyped.MapOf(v)
	if err != nil {
		return nil, fmt.Errorf("values of argo-cd: %w", err)
	}
	secret := out["configs"].(pulumi.Map)["secret"].(pulumi.Map)
	secret["argocdServerAdminPassword"] = passwordHash
	return out, nil
}
