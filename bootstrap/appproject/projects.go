package appproject

import (
	"fmt"

	"github.com/gridos/sharedinfra/internal/naming"
)

// Groups are the object ids of the directory's groups, by the role that they have in every project.
type Groups struct {
	Developers, Pipelines []string
}

// GridOS returns the project of the application. Its Applications create nothing outside their
// namespace, and no Secret: an ExternalSecret brings those from the key vault.
func GridOS(repositories []string, groups Groups, windows []SyncWindow) Project {
	return Project{Name: naming.ProjectGridOS, Spec: Spec{
		Description:                "GridOS workloads",
		SourceRepos:                repositories,
		Destinations:               in(naming.NamespaceGridOS),
		ClusterResourceWhitelist:   []GroupKind{},
		NamespaceResourceWhitelist: workloadKinds(),
		Roles:                      roles(naming.ProjectGridOS, groups),
		SyncWindows:                windows,
		OrphanedResources:          orphans(),
	}}
}

// Platform returns the project of what runs beside the application, such as Prometheus. Only it may
// create objects outside namespaces: the namespaces themselves, and the permissions with which
// Prometheus finds and asks what it watches.
func Platform(repositories, namespaces []string, groups Groups, windows []SyncWindow) Project {
	return Project{Name: naming.ProjectPlatform, Spec: Spec{
		Description:  "What the platform runs beside the application",
		SourceRepos:  repositories,
		Destinations: in(namespaces...),
		ClusterResourceWhitelist: []GroupKind{
			{"", "Namespace"},
			{"rbac.authorization.k8s.io", "ClusterRole"},
			{"rbac.authorization.k8s.io", "ClusterRoleBinding"},
		},
		// Developers look at the platform; changing it takes a commit.
		Roles: []Role{{
			Name: roleDeveloper, Description: "Looks at Applications and logs",
			Policies: policies(naming.ProjectPlatform, roleDeveloper, "applications, get", "logs, get"),
			Groups:   groups.Developers,
		}},
		SyncWindows:       windows,
		OrphanedResources: orphans(),
	}}
}

// Default returns Argo CD's own project, closed. argocd-server creates it open to everything where
// it is missing (Argo CD 3.4.4, server/server.go), and Argo CD's manual advises to restrict it
// ("Projects: The Default Project").
func Default() Project {
	return Project{Name: naming.ProjectDefault, Spec: Spec{
		Description:                "Closed: an Application names gridos or platform",
		SourceRepos:                []string{},
		Destinations:               []Destination{},
		ClusterResourceWhitelist:   []GroupKind{},
		NamespaceResourceWhitelist: nil, // permits all kinds, but Destinations permits no namespace
	}}
}

// orphans warns of objects that belong to no Application, except those that the mesh creates in
// every namespace; Argo CD itself excludes those that Kubernetes creates there.
func orphans() OrphanedResources {
	return OrphanedResources{Warn: true, Ignore: []OrphanedKey{{Kind: "ConfigMap", Name: "istio-ca-root-cert"}}}
}

// RolloutActions are what developers may do with a release: end it, try it again, and let it go on
// after a pause. The others that Argo CD knows (argo-cd 3.2.11,
// resource_customizations/argoproj.io/Rollout/actions) skip the analysis, promote-full and
// skip-current-step, or restart and pause pods.
func RolloutActions() []string {
	var permissions []string
	for _, action := range []string{"abort", "resume", "retry"} {
		permissions = append(permissions, "applications, action/argoproj.io/Rollout/"+action)
	}
	return permissions
}

const (
	roleCI        = "ci"
	roleDeveloper = "developer"
)

func roles(project string, groups Groups) []Role {
	return []Role{
		{
			Name: roleCI, Description: "Syncs Applications and waits for them",
			Policies: policies(project, roleCI, "applications, get", "applications, sync"),
			Groups:   groups.Pipelines,
		},
		{
			Name: roleDeveloper, Description: "Looks at Applications and logs, syncs, and steers rollouts",
			Policies: policies(project, roleDeveloper,
				append([]string{"applications, get", "applications, sync", "logs, get"}, RolloutActions()...)...),
			Groups: groups.Developers,
		},
	}
}

// policies allows a role each of permissions, "<resource>, <action>", on everything in its project.
func policies(project, role string, permissions ...string) []string {
	lines := make([]string, len(permissions))
	for i, permission := range permissions {
		lines[i] = fmt.Sprintf("p, proj:%[1]s:%[2]s, %[3]s, %[1]s/*, allow", project, role, permission)
	}
	return lines
}

func in(namespaces ...string) []Destination {
	destinations := make([]Destination, len(namespaces))
	for i, namespace := range namespaces {
		destinations[i] = Destination{Server: naming.ArgoCDInCluster, Namespace: namespace}
	}
	return destinations
}

// workloadKinds are what the application's manifests consist of and what controllers create from
// them.
func workloadKinds() []GroupKind {
	var list []GroupKind
	for _, of := range []struct {
		group string
		kinds []string
	}{
		{"", []string{"ConfigMap", "PersistentVolumeClaim", "Pod", "Service", "ServiceAccount"}},
		{"apps", []string{"ControllerRevision", "Deployment", "ReplicaSet", "StatefulSet"}},
		{"argoproj.io", []string{"AnalysisRun", "AnalysisTemplate", "Experiment", "Rollout"}},
		{"autoscaling", []string{"HorizontalPodAutoscaler"}},
		{"batch", []string{"CronJob", "Job"}},
		{"external-secrets.io", []string{"ExternalSecret"}},
		{"networking.istio.io", []string{"DestinationRule", "Gateway", "ServiceEntry", "VirtualService"}},
		{"networking.k8s.io", []string{"NetworkPolicy"}},
		{"policy", []string{"PodDisruptionBudget"}},
		{"security.istio.io", []string{"AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"}},
	} {
		for _, kind := range of.kinds {
			list = append(list, GroupKind{of.group, kind})
		}
	}
	return list
}
