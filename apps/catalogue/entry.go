// Package catalogue is the list of the Argo CD Applications of an environment: those that the
// platform ships, with those that the configuration adds, changes or removes.
package catalogue

import "github.com/gridos/sharedinfra/apps/application"

// Entry is one Application as it is written in the configuration; docs/configuration.md describes
// each field. A field that is left out has its default, or, where the entry changes a shipped one,
// the value there.
type Entry struct {
	Name    string `json:"name"`
	Enabled *bool  `json:"enabled,omitempty"`

	// Path or Chart is set, not both.
	Path          string `json:"path,omitempty"`
	RepositoryURL string `json:"repositoryUrl,omitempty"`
	Revision      string `json:"revision,omitempty"`
	Chart         *Chart `json:"chart,omitempty"`

	Namespace string `json:"namespace,omitempty"`
	Project   string `json:"project,omitempty"`

	SyncPolicy *SyncPolicy `json:"syncPolicy,omitempty"`
	SyncWave   *int        `json:"syncWave,omitempty"`
	Retry      *Retry      `json:"retry,omitempty"`
	// IgnoreDifferences is nil for the project's default; an empty list ignores none.
	IgnoreDifferences []application.IgnoreDifference `json:"ignoreDifferences,omitzero"`
	Cascade           *bool                          `json:"cascade,omitempty"`
	Health            *Health                        `json:"health,omitempty"`
}

// Chart is a chart of a Helm repository, in one exact version.
type Chart struct {
	Repository string         `json:"repository,omitempty"`
	Name       string         `json:"name,omitempty"`
	Version    string         `json:"version,omitempty"`
	Values     map[string]any `json:"values,omitempty"`
}

// SyncPolicy says when and how Argo CD syncs. Options are added to the platform's, or replace those
// of the same name.
type SyncPolicy struct {
	Automated *bool    `json:"automated,omitempty"`
	Prune     *bool    `json:"prune,omitempty"`
	SelfHeal  *bool    `json:"selfHeal,omitempty"`
	Options   []string `json:"options,omitempty"`
}

// Retry says how a sync that fails is tried again.
type Retry struct {
	Limit   *int     `json:"limit,omitempty"`
	Backoff *Backoff `json:"backoff,omitempty"`
}

// Backoff is how long to wait before that.
type Backoff struct {
	Duration    string `json:"duration,omitempty"`
	Factor      *int   `json:"factor,omitempty"`
	MaxDuration string `json:"maxDuration,omitempty"`
}

// Health says whether an update waits until the workloads run, and for how long.
type Health struct {
	Wait    *bool  `json:"wait,omitempty"`
	Timeout string `json:"timeout,omitempty"`
}
