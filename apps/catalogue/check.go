package catalogue

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gridos/sharedinfra/apps/application"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/internal/versions"
)

var (
	// label is what Kubernetes takes as the name of a namespace (RFC 1123).
	label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	// repository accepts the addresses that Argo CD can fetch from: https, ssh, a local path, and
	// git's short form of ssh.
	repository = regexp.MustCompile(`^((https?|ssh|file)://[^\s\pZ\pC]+|\w[\w.-]*@[\w.-]+:[^\s\pZ\pC]+)$`)
	// chartRepository is where charts come from; one that is not encrypted could be given other charts
	// on the way.
	chartRepository = regexp.MustCompile(`^(https|oci)://[^\s\pZ\pC]+$`)
	chartName       = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$`)
	// version is exact: no range, no wildcard and no part left out (semver.org).
	version = regexp.MustCompile(`^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
	option  = regexp.MustCompile(`^[A-Za-z]+=[A-Za-z]+$`)
)

// syncOptions are those of Argo CD 3.4 that an Application may have (its documentation, "Sync
// Options").
var syncOptions = []string{
	"ApplyOutOfSyncOnly", "ClientSideApplyMigration", "CreateNamespace", "Delete", "FailOnSharedResource", "Force", "Prune",
	"PruneLast", "PrunePropagationPolicy", "Replace", "RespectIgnoreDifferences", "ServerSideApply",
	"SkipDryRunOnMissingResource", "Validate",
}

// projects are the AppProjects that gridos-bootstrap creates.
func projects() []string { return []string{naming.ProjectGridOS, naming.ProjectPlatform} }

// protected are the namespaces of the cluster itself and of what gridos-bootstrap owns.
func protected() []string {
	return []string{
		"default", "kube-system", "kube-public", "kube-node-lease", "gatekeeper-system", "aks-istio-system", "aks-istio-ingress",
		naming.NamespaceArgoCD, naming.NamespaceArgoRollouts, naming.NamespaceExternalSecrets,
	}
}

// CheckRepository returns an error unless Argo CD can fetch from the Git repository at url.
func CheckRepository(url string) error {
	if err := config.CheckPublic(url); err != nil {
		return err
	}
	if repository.MatchString(url) {
		return nil
	}
	return fmt.Errorf("%q is not the address of a Git repository; write it like https://github.com/gridos/sharedinfra.git", url)
}

// CheckRevision returns an error unless revision can be a branch, tag or commit. What begins with a
// hyphen would be an option to git.
func CheckRevision(revision string) error {
	unfit := func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`~^:?*[\`, r)
	}
	if revision == "HEAD" {
		// (argo-cd#16433): dev's branch may be the default one.
		return errors.New("HEAD is the default branch of the repository, whichever that is; name the branch, tag or commit")
	}
	if revision != "" && !strings.HasPrefix(revision, "-") && !strings.ContainsFunc(revision, unfit) {
		return nil
	}
	return fmt.Errorf("%q is not a branch, tag or commit; write it like main", revision)
}

// check returns what is wrong with an entry that has its defaults.
func check(e Entry) []error {
	mistakes := []error{checkName(e.Name)}
	mistakes = append(mistakes, checkSource(e)...)
	mistakes = append(mistakes, checkDestination(e)...)
	if e.SyncPolicy != nil {
		mistakes = append(mistakes, checkSyncPolicy(*e.SyncPolicy)...)
	}
	if e.Retry != nil {
		mistakes = append(mistakes, checkRetry(*e.Retry)...)
	}
	for _, d := range e.IgnoreDifferences {
		mistakes = append(mistakes, checkIgnored(d)...)
	}
	if e.Health != nil {
		mistakes = append(mistakes, checkHealth(*e.Health)...)
	}
	return slices.DeleteFunc(mistakes, func(err error) bool { return err == nil })
}

func checkName(name string) error {
	if label.MatchString(name) {
		return nil
	}
	return fmt.Errorf("name %q cannot be the name of an Application; use 1 to 63 lower-case letters, digits and hyphens", name)
}

func checkSource(e Entry) []error {
	switch {
	case e.Path == "" && e.Chart == nil:
		return []error{errors.New("has neither path nor chart; set one of the two")}
	case e.Path != "" && e.Chart != nil:
		return []error{errors.New("has a path and a chart; keep one of the two")}
	case e.Chart != nil:
		mistakes := checkChart(*e.Chart)
		if e.RepositoryURL != "" || e.Revision != "" {
			mistakes = append(mistakes, errors.New("has repositoryUrl or revision, which belong to a path; "+
				"a chart has chart.repository and chart.version"))
		}
		return mistakes
	default:
		return []error{
			checkPath(e.Path),
			named("repositoryUrl", CheckRepository(e.RepositoryURL)),
			named("revision", CheckRevision(e.Revision)),
		}
	}
}

func named(field string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %w", field, err)
}

func checkPath(p string) error {
	switch {
	case path.IsAbs(p), strings.Contains(p, "\\"), slices.Contains(strings.Split(p, "/"), ".."):
		return fmt.Errorf("path %q leaves the repository; write it without .. and relative to the repository's root", p)
	case strings.ContainsFunc(p, unicode.IsControl):
		return fmt.Errorf("path %q has characters that cannot be seen; leave them out", p)
	case path.Clean(p) != p, strings.TrimSpace(p) != p:
		return fmt.Errorf("path %q is not written plainly; write it like %s", p, path.Clean(strings.TrimSpace(p)))
	default:
		return nil
	}
}

func checkChart(c Chart) []error {
	var mistakes []error
	if err := config.CheckPublic(c.Repository); err != nil {
		mistakes = append(mistakes, named("chart.repository", err))
	} else if !chartRepository.MatchString(c.Repository) {
		mistakes = append(mistakes, fmt.Errorf("chart.repository %q is not the address of a Helm repository; write it like %s",
			c.Repository, versions.Prometheus.Repository))
	}
	if !chartName.MatchString(c.Name) {
		mistakes = append(mistakes, fmt.Errorf("chart.name %q is not the name of a chart; write it like prometheus", c.Name))
	}
	if !version.MatchString(c.Version) {
		mistakes = append(mistakes, fmt.Errorf("chart.version %q is not one exact version; pin it like %s",
			c.Version, versions.Prometheus.Version))
	}
	return mistakes
}

func checkDestination(e Entry) []error {
	var mistakes []error
	if !slices.Contains(projects(), e.Project) {
		mistakes = append(mistakes, fmt.Errorf("project %q is not known; use one of %s", e.Project, strings.Join(projects(), ", ")))
	}
	switch {
	case e.Namespace == "" && e.Project == naming.ProjectGridOS: // gridos-bootstrap names it
	case e.Namespace == "":
		mistakes = append(mistakes, errors.New("has no namespace; name the one that its workloads go to"))
	case strings.Contains(e.Namespace, "*"):
		mistakes = append(mistakes, fmt.Errorf("namespace %q is a pattern; name one namespace", e.Namespace))
	case !label.MatchString(e.Namespace):
		mistakes = append(mistakes, fmt.Errorf("namespace %q cannot be the name of a namespace; use 1 to 63 lower-case letters, "+
			"digits and hyphens", e.Namespace))
	case slices.Contains(protected(), e.Namespace):
		mistakes = append(mistakes, fmt.Errorf("namespace %q belongs to the cluster or to gridos-bootstrap; use one of its own",
			e.Namespace))
	// Which others the platform's project permits is configuration of gridos-bootstrap: the preflight
	// asks the cluster.
	case e.Project == naming.ProjectGridOS && e.Namespace != naming.NamespaceGridOS:
		mistakes = append(mistakes, fmt.Errorf("namespace %q is none that the AppProject %s permits as destination; leave it out for %s, "+
			"or use the project %s", e.Namespace, e.Project, naming.NamespaceGridOS, naming.ProjectPlatform))
	case e.Project == naming.ProjectPlatform && e.Namespace == naming.NamespaceGridOS:
		mistakes = append(mistakes, fmt.Errorf("namespace %q is none that the AppProject %s permits as destination; use the project %s",
			e.Namespace, e.Project, naming.ProjectGridOS))
	}
	return mistakes
}

func checkSyncPolicy(p SyncPolicy) []error {
	var mistakes []error
	if !value(p.Automated, true) {
		if value(p.SelfHeal, false) {
			mistakes = append(mistakes, errors.New("syncPolicy.selfHeal is part of an automated sync; set automated, or remove selfHeal"))
		}
		if value(p.Prune, false) {
			mistakes = append(mistakes, errors.New("syncPolicy.prune is part of an automated sync; set automated, or remove prune"))
		}
	}
	seen := map[string]bool{}
	for _, o := range p.Options {
		name, _, _ := strings.Cut(o, "=")
		switch {
		case !option.MatchString(o):
			mistakes = append(mistakes, fmt.Errorf("syncPolicy.options has %q; write an option like CreateNamespace=true", o))
		case !slices.Contains(syncOptions, name):
			mistakes = append(mistakes, fmt.Errorf("syncPolicy.options has %q, which Argo CD does not know; use some of %s", o,
				strings.Join(syncOptions, ", ")))
		case seen[name]:
			mistakes = append(mistakes, fmt.Errorf("syncPolicy.options has %s twice; keep one", name))
		}
		seen[name] = true
	}
	return mistakes
}

func checkRetry(r Retry) []error {
	var mistakes []error
	if limit := value(r.Limit, 0); limit < 0 {
		mistakes = append(mistakes, fmt.Errorf("retry.limit is %d; use 0 for no retry, or how many", limit))
	}
	if r.Backoff == nil {
		return mistakes
	}
	first, wrongFirst := positive("retry.backoff.duration", r.Backoff.Duration)
	longest, wrongLongest := positive("retry.backoff.maxDuration", r.Backoff.MaxDuration)
	mistakes = append(mistakes, wrongFirst, wrongLongest)
	if wrongFirst == nil && wrongLongest == nil {
		// A field that is left out has its default, and the given fields have to fit it.
		effective := retry(&r).Backoff
		first, longest = durationOr(effective.Duration, first), durationOr(effective.MaxDuration, longest)
		if first > longest {
			mistakes = append(mistakes, fmt.Errorf("retry.backoff.duration %s is above maxDuration %s; lower it", first, longest))
		}
	}
	if factor := value(r.Backoff.Factor, 1); factor < 1 {
		mistakes = append(mistakes, fmt.Errorf("retry.backoff.factor is %d; it must be 1 or more", factor))
	}
	return mistakes
}

// positive returns the duration in text, or 0 for none.
func positive(field, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%s %q is not a duration above 0; write it like 5s or 3m", field, text)
	}
	return d, nil
}

func checkIgnored(d application.IgnoreDifference) []error {
	var mistakes []error
	if d.Kind == "" {
		mistakes = append(mistakes, errors.New("ignoreDifferences has an element without a kind; name it, such as Rollout"))
	}
	if len(d.JSONPointers)+len(d.JQPathExpressions) == 0 {
		mistakes = append(mistakes, fmt.Errorf("ignoreDifferences of %s names no field; set jsonPointers or jqPathExpressions", d.Kind))
	}
	for _, pointer := range d.JSONPointers {
		if !strings.HasPrefix(pointer, "/") {
			mistakes = append(mistakes, fmt.Errorf("ignoreDifferences of %s has the jsonPointer %q; write it like /spec/replicas",
				d.Kind, pointer))
		}
	}
	for _, expression := range d.JQPathExpressions {
		if !strings.HasPrefix(expression, ".") {
			mistakes = append(mistakes, fmt.Errorf("ignoreDifferences of %s has the jqPathExpression %q; write it like .spec.replicas",
				d.Kind, expression))
		}
	}
	return mistakes
}

func checkHealth(h Health) []error {
	if _, err := positive("health.timeout", h.Timeout); err != nil {
		return []error{err}
	}
	if h.Timeout != "" && !value(h.Wait, false) {
		return []error{errors.New("health.timeout is of no use without health.wait; set wait, or remove timeout")}
	}
	return nil
}
