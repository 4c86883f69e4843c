package argocd

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // time zones mean the same on every machine

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/robfig/cron/v3"

	"github.com/gridos/sharedinfra/bootstrap/appproject"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/internal/untyped"
	"github.com/gridos/sharedinfra/internal/versions"
)

// Projects is the configuration of the AppProjects.
type Projects struct {
	// SourceRepositories are the repositories from which the application's project may sync,
	// PlatformRepositories those of the platform's project.
	SourceRepositories, PlatformRepositories []string
	// PlatformNamespaces are where the platform's project may sync into.
	PlatformNamespaces []string
	// Windows are when both may sync; none means always.
	Windows []appproject.SyncWindow
	// KeepUsed makes Argo CD keep an AppProject as long as an Application belongs to it;
	// gridos-bootstrap then keeps Argo CD as well.
	KeepUsed bool
}

func loadProjects(r *config.Reader, environment string) Projects {
	p := Projects{
		SourceRepositories:   repositories(r, "sourceRepositories", naming.RepositoryURL),
		PlatformRepositories: repositories(r, "platformRepositories", naming.RepositoryURL, versions.Prometheus.Repository),
		PlatformNamespaces:   r.Strings("platformNamespaces", []string{naming.NamespaceMonitoring}),
		Windows:              loadWindows(r, environment),
		KeepUsed:             r.Bool("keepUsedProjects", true),
	}
	if len(p.PlatformNamespaces) == 0 {
		r.Check("platformNamespaces", errors.New("is empty; list the namespaces that the platform's project may sync into"))
	}
	for _, namespace := range p.PlatformNamespaces {
		r.Check("platformNamespaces", checkDestination(namespace))
	}
	return p
}

func repositories(r *config.Reader, key string, def ...string) []string {
	list := r.Strings(key, def)
	if len(list) == 0 {
		r.Check(key, errors.New("is empty; list the Git repositories that Argo CD may sync from"))
	}
	for _, repository := range list {
		r.Check(key, checkRepository(repository))
	}
	return list
}

// checkRepository refuses patterns: Argo CD accepts them, but a pattern does not say from which
// repositories a project may sync.
func checkRepository(repository string) error {
	if err := config.CheckPublic(repository); err != nil {
		return err
	}
	switch {
	case strings.ContainsAny(repository, "*?[]{}"):
		return fmt.Errorf("%q would let the project sync from anywhere that matches; list the repositories", repository)
	case strings.HasPrefix(repository, "oci://"):
		return fmt.Errorf("%q permits no chart: Argo CD names a registry of Helm charts without the scheme; write %s",
			repository, strings.TrimPrefix(repository, "oci://"))
	case repository == "", strings.HasPrefix(repository, "!"), strings.ContainsAny(repository, " \t\r\n"):
		return fmt.Errorf("%q is not the address of a repository; write it like %s", repository, naming.RepositoryURL)
	}
	return nil
}

var namespaceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// reserved are the namespaces whose objects decide what Argo CD and the cluster may do.
var reserved = []string{naming.NamespaceArgoCD, "kube-system", "kube-public", "kube-node-lease"}

func checkDestination(namespace string) error {
	switch {
	case !namespaceName.MatchString(namespace):
		return fmt.Errorf("%q is not the name of a namespace, and patterns are refused; list the namespaces", namespace)
	case slices.Contains(reserved, namespace):
		return fmt.Errorf("%s would let the project change its own permissions; leave it out", namespace)
	case namespace == naming.NamespaceGridOS:
		return fmt.Errorf("%s is the application's, which has a project of its own; leave it out", namespace)
	}
	return nil
}

// checkSchedule asks the parser that Argo CD 3.4 asks, with the same options
// (pkg/apis/application/v1alpha1/types.go, SyncWindow.active). With a schedule that it refuses, an
// Application is not synced at all (argo-cd#19605).
func checkSchedule(schedule string) error {
	const remedy = "write minute, hour, day of the month, month and day of the week (0 to 6, Sunday is 0) as cron does, such as 0 8 * * 1-5"
	if strings.Contains(schedule, "TZ=") {
		return fmt.Errorf("%q names a time zone; leave it to syncWindowTimeZone, and %s", schedule, remedy)
	}
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	if _, err := parser.Parse(schedule); err != nil {
		return fmt.Errorf("%q is not a schedule for Argo CD: %w; %s", schedule, err, remedy)
	}
	return nil
}

// loadWindows reads when Applications may sync. In prod changes come while people are there to see
// them.
func loadWindows(r *config.Reader, environment string) []appproject.SyncWindow {
	def := ""
	if environment == "prod" {
		def = "0 8 * * 1-5"
	}
	schedule := r.String("syncWindowSchedule", def)
	window := appproject.SyncWindow{
		Kind:         "allow",
		Schedule:     schedule,
		Duration:     r.DurationBetween("syncWindowDuration", 8*time.Hour, time.Minute, 7*24*time.Hour).String(),
		TimeZone:     r.Text("syncWindowTimeZone", "UTC"),
		Applications: []string{"*"},
		ManualSync:   r.Bool("syncWindowManual", false),
	}
	if _, err := time.LoadLocation(window.TimeZone); err != nil || window.TimeZone == "Local" {
		r.Check("syncWindowTimeZone", fmt.Errorf("%q is not a time zone; write it like UTC or Europe/Berlin", window.TimeZone))
	}
	if schedule == "" {
		return nil
	}
	r.Check("syncWindowSchedule", checkSchedule(schedule))
	return []appproject.SyncWindow{window}
}

// projects returns the AppProjects of the platform.
func (s Settings) projects() []appproject.Project {
	groups := appproject.Groups{Developers: s.Groups.Developers, Pipelines: s.Groups.Pipelines}
	return []appproject.Project{
		appproject.GridOS(s.Projects.SourceRepositories, groups, s.Projects.Windows),
		appproject.Platform(s.Projects.PlatformRepositories, s.Projects.PlatformNamespaces, groups, s.Projects.Windows),
		appproject.Default(),
	}
}

const (
	// usedFinalizer makes Argo CD keep an AppProject until no Application belongs to it (Argo CD's
	// documentation, "Projects"). The release is deleted after the AppProjects: as long as one
	// stays, Argo CD is there to finish the deletions that it has begun. A hook of the engine
	// before the deletion of the release could report this at once, but with a hook
	// `pulumi destroy` always needs the program.
	usedFinalizer = "resources-finalizer.argocd.argoproj.io"
	// letGo is how long Argo CD may take to release an unused AppProject: usually a moment, but up
	// to the three minutes between two full reconciliations if the AppProject was still used when
	// its deletion was requested.
	letGo = "4m"
)

func newProject(
	ctx *pulumi.Context, name string, project appproject.Project, keepUsed bool, opts ...pulumi.ResourceOption,
) (*object.Object, error) {
	spec, err := untyped.MapOf(project.Spec)
	if err != nil {
		return nil, fmt.Errorf("project %s: %w", project.Name, err)
	}
	metadata := object.Metadata{
		Name: pulumi.String(project.Name), Namespace: pulumi.String(naming.NamespaceArgoCD),
		// argocd-server writes the tokens of roles into the project (Argo CD 3.4.4,
		// server/project/project.go). A token stays valid: its id is also in the project's status.
		Shared: true,
	}
	if keepUsed {
		metadata.Finalizers = pulumi.StringArray{pulumi.String(usedFinalizer)}
	}
	return object.NewCustom(ctx, name, appproject.APIVersion, appproject.Kind, metadata, spec,
		append(opts, pulumi.Timeouts(&pulumi.CustomTimeouts{Delete: letGo}))...)
}
