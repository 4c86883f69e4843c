package helm

// Resources are what a container asks for and what it may have at most, by resource name (cpu,
// memory). The platform sets no limit on cpu: it would only slow down a busy controller on a node
// with time to spare.
type Resources struct {
	Requests map[string]string `json:"requests"`
	Limits   map[string]string `json:"limits"`
}

// NewResources returns the requests, in Kubernetes' notation (100m, 256Mi), and the limit of
// memory.
func NewResources(cpu, memory, memoryLimit string) Resources {
	return Resources{
		Requests: map[string]string{"cpu": cpu, "memory": memory},
		Limits:   map[string]string{"memory": memoryLimit},
	}
}

// SpreadConstraint is one of a pod's topologySpreadConstraints.
type SpreadConstraint struct {
	MaxSkew           int           `json:"maxSkew"`
	TopologyKey       string        `json:"topologyKey"`
	WhenUnsatisfiable string        `json:"whenUnsatisfiable"`
	LabelSelector     LabelSelector `json:"labelSelector"`
	MatchLabelKeys    []string      `json:"matchLabelKeys"`
}

// LabelSelector selects pods by labels that are all equal.
type LabelSelector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

// Spread spreads the pods of a Deployment over zones, and over nodes within them. It is a
// preference: dev has fewer nodes than an update has pods, and a pod that is not scheduled is worse
// than one in the same zone. The pods of each revision are counted separately: otherwise the pods
// that an update is about to delete would decide where the new ones go.
func Spread(labels map[string]string) []SpreadConstraint {
	over := func(key string) SpreadConstraint {
		return SpreadConstraint{
			MaxSkew:           1,
			TopologyKey:       key,
			WhenUnsatisfiable: "ScheduleAnyway",
			LabelSelector:     LabelSelector{MatchLabels: labels},
			MatchLabelKeys:    []string{"pod-template-hash"},
		}
	}
	return []SpreadConstraint{over("topology.kubernetes.io/zone"), over("kubernetes.io/hostname")}
}

// ScrapeAnnotations are a pod's: the job kubernetes-pods of the platform's Prometheus scrapes the
// pods that have them, at this port (prometheus-community chart prometheus 29.27.0, values.yaml,
// scrapeConfigs). A metrics Service needs none: no job reads Services.
func ScrapeAnnotations(port string) map[string]string {
	return map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": port}
}
