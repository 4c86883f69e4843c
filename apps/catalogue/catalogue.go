package catalogue

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gridos/sharedinfra/apps/application"
	"github.com/gridos/sharedinfra/internal/naming"
)

// Defaults are what entries that do not say otherwise have.
type Defaults struct {
	// RepositoryURL and Revision are those of entries with a path.
	RepositoryURL, Revision string
	// Cascade deletes the workloads with the Application.
	Cascade bool
}

// Application is an entry that nothing is missing from.
type Application struct {
	// Name is the Application's name.
	Name string
	// Project is the AppProject, gridos or platform.
	Project string
	// Namespace is where the workloads go; empty for the namespace of the application's workloads,
	// which gridos-bootstrap names.
	Namespace string
	// Wave is the sync wave.
	Wave int
	// Cascade deletes the workloads with the Application.
	Cascade bool
	// Wait is how long an update waits for the workloads to run; 0 for not at all.
	Wait time.Duration
	// Spec is the rest.
	Spec application.Spec
}

// Of returns the Applications of environment, lower waves first and by name within a wave: what the
// platform ships, with the entries added to it or, by name, laid over it. The error joins all
// mistakes, each naming its entry.
func Of(environment string, entries []Entry, defaults Defaults) ([]Application, error) {
	merged, mistakes := merge(environment, entries)
	var applications []Application
	for _, e := range merged {
		if e.Enabled != nil && !*e.Enabled {
			continue
		}
		e = completed(e, defaults)
		if wrong := check(e); len(wrong) > 0 {
			for _, err := range wrong {
				mistakes = append(mistakes, fmt.Errorf("%s: %w", called(e.Name), err))
			}
			continue
		}
		applications = append(applications, resolved(e))
	}
	slices.SortStableFunc(applications, func(a, b Application) int {
		return cmp.Or(cmp.Compare(a.Wave, b.Wave), strings.Compare(a.Name, b.Name))
	})
	return applications, errors.Join(mistakes...)
}

// called is how a message names an entry.
func called(name string) string {
	if name == "" {
		return "an entry without a name"
	}
	return fmt.Sprintf("%q", name)
}

// merge lays entries over what is shipped.
func merge(environment string, entries []Entry) ([]Entry, []error) {
	all, err := shipped(environment)
	if err != nil {
		return nil, []error{err}
	}
	var mistakes []error
	places := make(map[string]int, len(all)+len(entries))
	for i, e := range all {
		places[e.Name] = i
	}
	seen := make(map[string]bool, len(entries))
	for _, e := range entries {
		if seen[e.Name] && e.Name != "" {
			mistakes = append(mistakes, fmt.Errorf("%q is there twice; rename or remove one", e.Name))
			continue
		}
		seen[e.Name] = true
		i, known := places[e.Name]
		switch {
		case known:
			if all[i], err = overlaid(all[i], e); err != nil {
				mistakes = append(mistakes, fmt.Errorf("%q: %w", e.Name, err))
			}
		default:
			all = append(all, e)
		}
	}
	return all, mistakes
}

// overlaid returns base with the fields that over sets. Objects are laid over each other field by
// field; lists are replaced.
func overlaid(base, over Entry) (Entry, error) {
	if over.Path != "" && over.Chart == nil {
		base.Chart = nil
	}
	if over.Chart != nil && over.Path == "" {
		base.Path = ""
	}
	if over.IgnoreDifferences != nil {
		base.IgnoreDifferences = nil // or the decoder would reuse the elements
	}
	text, err := json.Marshal(over)
	if err != nil {
		return base, err
	}
	var values map[string]any
	if base.Chart != nil {
		values, base.Chart.Values = base.Chart.Values, nil // the decoder would replace what it finds there
	}
	if err := json.Unmarshal(text, &base); err != nil {
		return base, err
	}
	if base.Chart != nil {
		var more map[string]any
		if over.Chart != nil {
			more = over.Chart.Values
		}
		base.Chart.Values = laidOver(values, more)
	}
	return base, nil
}

// laidOver merges a chart's values as Helm does.
func laidOver(base, over map[string]any) map[string]any {
	if base == nil && over == nil {
		return nil
	}
	merged := make(map[string]any, len(base)+len(over))
	for key, value := range base {
		merged[key] = value
	}
	for key, value := range over {
		below, isBelow := merged[key].(map[string]any)
		above, isAbove := value.(map[string]any)
		if isBelow && isAbove {
			merged[key] = laidOver(below, above)
			continue
		}
		merged[key] = value
	}
	return merged
}

// completed fills in what e leaves out.
func completed(e Entry, defaults Defaults) Entry {
	if e.Chart == nil {
		e.RepositoryURL = orElse(e.RepositoryURL, defaults.RepositoryURL)
		e.Revision = orElse(e.Revision, defaults.Revision)
	}
	e.Project = orElse(e.Project, naming.ProjectGridOS)
	if e.Cascade == nil {
		e.Cascade = &defaults.Cascade
	}
	if e.IgnoreDifferences == nil && e.Project == naming.ProjectGridOS {
		e.IgnoreDifferences = ownedByControllers()
	}
	return e
}

// ownedByControllers are the fields that progressive delivery writes. A sync that changes another
// field of the object writes Git's value of these fields too. Argo Rollouts sets its weights again
// at once. Replicas must not be in Git (argo-rollouts issue 3565).
func ownedByControllers() []application.IgnoreDifference {
	return []application.IgnoreDifference{
		// The HorizontalPodAutoscaler owns the replicas.
		{Group: "argoproj.io", Kind: "Rollout", JSONPointers: []string{"/spec/replicas"}},
		// Argo Rollouts moves the traffic between the stable and the canary. Not every route has
		// destinations.
		{
			Group: "networking.istio.io", Kind: "VirtualService",
			JQPathExpressions: []string{".spec.http[].route[]?.weight"},
		},
	}
}

// resolved turns a checked entry into an Application.
func resolved(e Entry) Application {
	a := Application{
		Name: e.Name, Project: e.Project, Namespace: e.Namespace, Cascade: *e.Cascade,
		Spec: application.Spec{
			Source:            application.Source{RepoURL: e.RepositoryURL, TargetRevision: e.Revision, Path: e.Path},
			SyncPolicy:        syncPolicy(e),
			IgnoreDifferences: e.IgnoreDifferences,
		},
	}
	if e.SyncWave != nil {
		a.Wave = *e.SyncWave
	}
	if e.Chart != nil {
		a.Spec.Source = application.Source{
			// With the scheme Argo CD takes the address for an artifact of its own kind and ignores
			// the chart (Argo CD 3.4.4, reposerver/repository/repository.go). Without it, it is a
			// registry of Helm charts (its manual, "Helm").
			RepoURL: strings.TrimPrefix(e.Chart.Repository, "oci://"), TargetRevision: e.Chart.Version, Chart: e.Chart.Name,
		}
		if len(e.Chart.Values) > 0 {
			a.Spec.Source.Helm = &application.Helm{ValuesObject: e.Chart.Values}
		}
	}
	if e.Health != nil && value(e.Health.Wait, false) {
		a.Wait = durationOr(e.Health.Timeout, defaultWait)
	}
	return a
}

// defaultWait is how long an update waits for an Application to be healthy.
const defaultWait = 10 * time.Minute

func syncPolicy(e Entry) application.SyncPolicy {
	given := SyncPolicy{}
	if e.SyncPolicy != nil {
		given = *e.SyncPolicy
	}
	policy := application.SyncPolicy{SyncOptions: options(given.Options), Retry: retry(e.Retry)}
	if value(given.Automated, true) {
		// Git is the only writer.
		policy.Automated = &application.Automated{Prune: value(given.Prune, true), SelfHeal: value(given.SelfHeal, true)}
	}
	return policy
}

// options returns the platform's sync options with the given ones added, or in place of those of
// the same name.
//
// With ApplyOutOfSyncOnly a sync leaves alone what differs in ignored fields only.
// RespectIgnoreDifferences=true is left out, because it freezes each list that has an ignored field
// in it. For custom resources Argo CD then lays the live values over Git's by a JSON merge patch,
// in which a list is one value (Argo CD 3.2.11, controller/sync.go, normalizeTargetResources;
// argo-cd issue 9678). No change of a VirtualService's routes would reach the cluster.
func options(given []string) []string {
	merged := []string{"ApplyOutOfSyncOnly=true"}
	for _, option := range given {
		name, _, _ := strings.Cut(option, "=")
		i := slices.IndexFunc(merged, func(other string) bool { return strings.HasPrefix(other, name+"=") })
		if i < 0 {
			merged = append(merged, option)
		} else {
			merged[i] = option
		}
	}
	return merged
}

func retry(given *Retry) application.Retry {
	r := application.Retry{
		Limit: 5, Backoff: application.Backoff{Duration: "5s", Factor: 2, MaxDuration: "3m"}, Refresh: true,
	}
	if given == nil {
		return r
	}
	r.Limit = value(given.Limit, r.Limit)
	if b := given.Backoff; b != nil {
		r.Backoff.Duration = orElse(b.Duration, r.Backoff.Duration)
		r.Backoff.Factor = value(b.Factor, r.Backoff.Factor)
		r.Backoff.MaxDuration = orElse(b.MaxDuration, r.Backoff.MaxDuration)
	}
	return r
}

func orElse(given, otherwise string) string {
	if given == "" {
		return otherwise
	}
	return given
}

func value[T any](given *T, otherwise T) T {
	if given == nil {
		return otherwise
	}
	return *given
}

// durationOr returns the duration in given, or the value otherwise for a text that check has
// already refused.
func durationOr(given string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(given); err == nil {
		return d
	}
	return otherwise
}
