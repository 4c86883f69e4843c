// Package appproject spells Argo CD's AppProject as far as the platform uses it, and the projects
// that the platform has, Argo CD's own among them. An AppProject is the part of the bootstrap
// boundary that the cluster itself enforces: the repositories and namespaces that an Application
// may sync from and to, and the kinds that it may create.
//
// Argo CD's own module would bring most of Kubernetes with it. In a test of the lab a real API
// server checks the output of these types against the official definition, with strict field
// validation.
package appproject

// APIVersion and Kind are those of an AppProject.
const (
	APIVersion = "argoproj.io/v1alpha1"
	Kind       = "AppProject"
)

// Project is an AppProject: its name and its spec.
type Project struct {
	Name string
	Spec Spec
}

// Spec is an AppProject's spec.
type Spec struct {
	Description string `json:"description"`
	// SourceRepos are the Git and Helm repositories to sync from.
	SourceRepos []string `json:"sourceRepos"`
	// Destinations are the namespaces to sync into.
	Destinations []Destination `json:"destinations"`
	// ClusterResourceWhitelist has the kinds outside namespaces that may be synced; empty means none.
	ClusterResourceWhitelist []GroupKind `json:"clusterResourceWhitelist"`
	// NamespaceResourceWhitelist has the kinds inside namespaces that may be synced; nil means all.
	// Argo CD also shows no other kinds in an Application's tree, so the list has to name the
	// objects that controllers create from the synced ones.
	NamespaceResourceWhitelist []GroupKind `json:"namespaceResourceWhitelist,omitempty"`
	Roles                      []Role      `json:"roles,omitempty"`
	// SyncWindows are when Applications may sync; none means always.
	SyncWindows       []SyncWindow      `json:"syncWindows,omitempty"`
	OrphanedResources OrphanedResources `json:"orphanedResources"`
}

// Destination is a namespace of a cluster.
type Destination struct {
	// Server is the address by which Argo CD knows the cluster.
	Server    string `json:"server"`
	Namespace string `json:"namespace"`
}

// GroupKind is a kind of object, such as {"apps", "Deployment"}; the core group is empty.
type GroupKind struct {
	Group string `json:"group"`
	Kind  string `json:"kind"`
}

// Role is a set of permissions within the project. Tokens are issued for it with `argocd proj role
// create-token`.
type Role struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	// Policies are lines such as "p, proj:gridos:ci, applications, sync, gridos/*, allow".
	Policies []string `json:"policies"`
	// Groups are the object ids of the directory's groups that have the role.
	Groups []string `json:"groups,omitempty"`
}

// SyncWindow is a repeating span of time.
type SyncWindow struct {
	// Kind is allow or deny. As soon as one window allows, syncing is denied outside of all that do.
	Kind string `json:"kind"`
	// Schedule is when it opens, as cron writes it.
	Schedule string `json:"schedule"`
	// Duration is how long it stays open, such as 8h0m0s.
	Duration string `json:"duration"`
	// TimeZone is the one that Schedule is in, such as Europe/Berlin.
	TimeZone string `json:"timeZone"`
	// Applications are patterns of the names that the window is for.
	Applications []string `json:"applications"`
	// ManualSync lets a person or pipeline with the permission to sync do so outside of the window.
	ManualSync bool `json:"manualSync"`
}

// OrphanedResources decides about objects in the project's namespaces that belong to no
// Application.
type OrphanedResources struct {
	// Warn adds a condition to the project's Applications.
	Warn bool `json:"warn"`
	// Ignore are those that are no orphans.
	Ignore []OrphanedKey `json:"ignore,omitempty"`
}

// OrphanedKey is objects of a kind and, unless it is empty, of a name; the group of what is in
// Kubernetes' core is empty.
type OrphanedKey struct {
	Group string `json:"group,omitempty"`
	Kind  string `json:"kind"`
	Name  string `json:"name,omitempty"`
}
