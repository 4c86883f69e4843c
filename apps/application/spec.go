package application

// Spec is an Application's spec without what other stacks decide: its project and its destination.
// The fields, with their names and defaults, are those of the CustomResourceDefinition
// applications.argoproj.io.
type Spec struct {
	Source            Source             `json:"source"`
	SyncPolicy        SyncPolicy         `json:"syncPolicy"`
	IgnoreDifferences []IgnoreDifference `json:"ignoreDifferences,omitempty"`
}

// Source says what Argo CD syncs: a directory of a Git repository (Path) or a Helm chart (Chart,
// Helm).
type Source struct {
	// RepoURL is the address of the Git or the Helm repository.
	RepoURL string `json:"repoURL"`
	// TargetRevision is a branch, tag or commit, or the version of the chart.
	TargetRevision string `json:"targetRevision"`
	Path           string `json:"path,omitempty"`
	Chart          string `json:"chart,omitempty"`
	Helm           *Helm  `json:"helm,omitempty"`
}

// Helm is what a chart is rendered with.
type Helm struct {
	// ValuesObject are the chart's values; it has no Go type because each chart has its own.
	ValuesObject map[string]any `json:"valuesObject,omitempty"`
}

// SyncPolicy says when and how Argo CD syncs.
type SyncPolicy struct {
	// Automated is nil when a person starts every sync.
	Automated *Automated `json:"automated,omitempty"`
	// SyncOptions are written Name=value.
	SyncOptions []string `json:"syncOptions,omitempty"`
	Retry       Retry    `json:"retry"`
}

// Automated is a sync at every change in Git.
type Automated struct {
	// Prune deletes what left Git, SelfHeal undoes what was changed by hand.
	Prune    bool `json:"prune"`
	SelfHeal bool `json:"selfHeal"`
}

// Retry says how often a sync that fails is tried again; a limit of 0 is never.
type Retry struct {
	Limit   int     `json:"limit"`
	Backoff Backoff `json:"backoff"`
	// Refresh takes what Git says by then. Without it a commit that cannot be applied is tried until
	// the limit, for minutes, and the commit that mends it waits.
	Refresh bool `json:"refresh"`
}

// Backoff says how long to wait before that: at first Duration, such as 5s, each time Factor times
// as long, at most MaxDuration.
type Backoff struct {
	Duration    string `json:"duration"`
	Factor      int    `json:"factor"`
	MaxDuration string `json:"maxDuration"`
}

// IgnoreDifference names fields that something other than Git decides. Name and Namespace narrow it
// down to one object.
type IgnoreDifference struct {
	Group             string   `json:"group,omitempty"`
	Kind              string   `json:"kind"`
	Name              string   `json:"name,omitempty"`
	Namespace         string   `json:"namespace,omitempty"`
	JSONPointers      []string `json:"jsonPointers,omitempty"`
	JQPathExpressions []string `json:"jqPathExpressions,omitempty"`
}
