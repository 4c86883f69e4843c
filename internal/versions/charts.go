package versions

// Chart is a Helm chart that an environment has unless its configuration says otherwise.
type Chart struct{ Name, Version, Repository string }

const argoProject = "https://argoproj.github.io/argo-helm"

// The charts. The keys of their values are test data beside the package that sets the values.
var (
	ArgoCD          = Chart{Name: "argo-cd", Version: "10.1.1", Repository: argoProject}
	ArgoRollouts    = Chart{Name: "argo-rollouts", Version: "2.41.0", Repository: argoProject}
	ExternalSecrets = Chart{Name: "external-secrets", Version: "2.9.0", Repository: "https://charts.external-secrets.io"}
	Prometheus      = Chart{Name: "prometheus", Version: "29.27.0", Repository: "https://prometheus-community.github.io/helm-charts"}
)
