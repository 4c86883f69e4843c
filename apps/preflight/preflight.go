// Package preflight asks the cluster whether it is ready for Applications. For a cluster without
// Argo CD the Kubernetes provider would report only an unknown kind, and for an Application whose
// AppProject is missing Argo CD reports nothing that an update sees.
package preflight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/stacks"
)

// Timeout bounds the whole check: it asks twice, and signing in to a cluster for the first time
// takes seconds.
const Timeout = 15 * time.Second

// group is where Argo CD's kinds are.
const group = "/apis/argoproj.io/v1alpha1"

// Args is what is asked, and of which cluster.
type Args struct {
	// Kubeconfig signs in to the cluster; Namespace is Argo CD's.
	Kubeconfig, Namespace pulumi.StringOutput
	// Uses is what the Applications need, by AppProject: the AppProjects must exist and permit it.
	Uses map[string]Use
}

// Use is what the Applications of an AppProject need of it.
type Use struct {
	// Namespaces are where they sync to, Repositories where they sync from.
	Namespaces, Repositories []string
	// CreatesNamespaces says that one of them makes Argo CD create its namespace.
	CreatesNamespaces bool
}

// Run returns an error unless the cluster serves Applications and has the AppProjects, which permit
// all uses. It reads outputs of other stacks, so waiting for them is safe: in a preview they are
// known, or, if the other stack was never brought up, they are known only in the update, and the
// update checks. Run registers nothing and only decides whether the program goes on. Under the
// SDK's mocks, where there is no cluster, it does nothing.
func Run(ctx *pulumi.Context, args Args) error {
	if ctx.RunningWithMocks() {
		return nil
	}
	return args.check(ctx)
}

// check is Run with a cluster.
func (args Args) check(ctx *pulumi.Context) error {
	kubeconfig, known, err := await(ctx, args.Kubeconfig)
	if err != nil || !known {
		return err
	}
	namespace, known, err := await(ctx, args.Namespace)
	if err != nil || !known {
		return err
	}
	return Check(ctx.Context(), kubeconfig, namespace, args.Uses, ctx.Stack())
}

func await(ctx *pulumi.Context, output pulumi.StringOutput) (text string, known bool, err error) {
	result, err := internals.UnsafeAwaitOutput(ctx.Context(), output)
	if err != nil || !result.Known {
		return "", false, err
	}
	text, known = result.Value.(string)
	return text, known, nil
}

// Check asks the cluster that kubeconfig signs in to. The error is one sentence that names what is
// missing and the remedy.
func Check(
	ctx context.Context, kubeconfig, namespace string, uses map[string]Use, environment string,
) error {
	config, err := clientcmd.RESTConfigFromKubeConfig([]byte(kubeconfig))
	if err != nil {
		return fmt.Errorf("the kubeconfig of stack %s of %s cannot be used; run `pulumi -C %s up -s %s`: %w",
			environment, stacks.Infra.Name, stacks.Infra.Directory, environment, err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("the kubeconfig of stack %s of %s cannot be used; run `pulumi -C %s up -s %s`: %w",
			environment, stacks.Infra.Name, stacks.Infra.Directory, environment, err)
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	cluster := cluster{client: client, server: strings.TrimSuffix(config.Host, "/"), environment: environment}
	if err := cluster.servesApplications(ctx); err != nil {
		return err
	}
	projects, err := cluster.projects(ctx, namespace)
	if err != nil {
		return err
	}
	if err := cluster.has(projects, namespace, uses); err != nil {
		return err
	}
	return cluster.permits(projects, uses)
}

// cluster is an API server. The check uses plain HTTP requests: it reads one field each of two
// answers, which is not worth a client for all of Kubernetes.
type cluster struct {
	client              *http.Client
	server, environment string
}

func (c cluster) servesApplications(ctx context.Context) error {
	var answer struct {
		Resources []struct {
			Name string `json:"name"`
		} `json:"resources"`
	}
	err := c.get(ctx, group, &answer)
	served := slices.ContainsFunc(answer.Resources, func(r struct {
		Name string `json:"name"`
	},
	) bool {
		return r.Name == "applications"
	})
	if err == nil && !served {
		return fmt.Errorf("the cluster of %s has no CustomResourceDefinition applications.argoproj.io; %s first",
			c.environment, c.remedy())
	}
	return err
}

// project has the fields of an AppProject that the check reads.
type project struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Destinations             []destination `json:"destinations"`
		SourceRepos              []string      `json:"sourceRepos"`
		ClusterResourceWhitelist []groupKind   `json:"clusterResourceWhitelist"`
	} `json:"spec"`
}

type groupKind struct {
	Group string `json:"group"`
	Kind  string `json:"kind"`
}

type destination struct {
	Server    string `json:"server"`
	Namespace string `json:"namespace"`
}

// projects returns the AppProjects by name.
func (c cluster) projects(ctx context.Context, namespace string) (map[string]project, error) {
	var answer struct {
		Items []project `json:"items"`
	}
	if err := c.get(ctx, group+"/namespaces/"+namespace+"/appprojects", &answer); err != nil {
		return nil, err
	}
	found := map[string]project{}
	for _, p := range answer.Items {
		found[p.Metadata.Name] = p
	}
	return found, nil
}

func (c cluster) has(projects map[string]project, namespace string, uses map[string]Use) error {
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(uses)) {
		if _, found := projects[name]; !found {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the cluster of %s has no AppProject %s in the namespace %s; %s first",
			c.environment, strings.Join(missing, " and no AppProject "), namespace, c.remedy())
	}
	return nil
}

// permits returns an error for what Argo CD would refuse, which no update would notice. The
// platform's AppProjects name namespaces and repositories; what patterns in the projects of others
// mean is left to Argo CD.
func (c cluster) permits(projects map[string]project, uses map[string]Use) error {
	var namespaces, repositories, creators []string
	for _, name := range slices.Sorted(maps.Keys(uses)) {
		spec, use := projects[name].Spec, uses[name]
		in := " in the AppProject " + name
		for _, namespace := range use.Namespaces {
			if !permitsDestination(spec.Destinations, namespace) {
				namespaces = append(namespaces, namespace+in)
			}
		}
		for _, repository := range use.Repositories {
			if !permitsSource(spec.SourceRepos, repository) {
				repositories = append(repositories, repository+in)
			}
		}
		if use.CreatesNamespaces && !permitsKind(spec.ClusterResourceWhitelist, groupKind{Kind: "Namespace"}) {
			creators = append(creators, "in the AppProject "+name)
		}
	}
	var refused []string
	if len(namespaces) > 0 {
		refused = append(refused, fmt.Sprintf("does not permit the namespace %s as a destination; change the namespace in the "+
			"catalogue, or list it in platformNamespaces of %s and %s first",
			strings.Join(namespaces, ", nor "), stacks.Bootstrap.Name, c.remedy()))
	}
	if len(repositories) > 0 {
		refused = append(refused, fmt.Sprintf("does not permit the repository %s as a source; change the repository in the "+
			"catalogue, or list it in sourceRepositories (for %s) or platformRepositories (for %s) of %s and %s first",
			strings.Join(repositories, ", nor "), naming.ProjectGridOS, naming.ProjectPlatform, stacks.Bootstrap.Name, c.remedy()))
	}
	if len(creators) > 0 {
		refused = append(refused, fmt.Sprintf("does not permit the creation of namespaces %s; remove CreateNamespace=true from "+
			"syncPolicy.options in the catalogue, or use the project %s", strings.Join(creators, ", nor "), naming.ProjectPlatform))
	}
	if len(refused) > 0 {
		return fmt.Errorf("the cluster of %s %s", c.environment, strings.Join(refused, "; it "))
	}
	return nil
}

func permitsDestination(permitted []destination, namespace string) bool {
	return slices.ContainsFunc(permitted, func(d destination) bool {
		return isPattern(d.Server+d.Namespace) || d == destination{naming.ArgoCDInCluster, namespace}
	})
}

func permitsSource(permitted []string, repository string) bool {
	return slices.ContainsFunc(permitted, func(p string) bool { return isPattern(p) || normalized(p) == normalized(repository) })
}

func permitsKind(permitted []groupKind, kind groupKind) bool {
	return slices.ContainsFunc(permitted, func(p groupKind) bool { return isPattern(p.Group+p.Kind) || p == kind })
}

func isPattern(text string) bool { return strings.ContainsAny(text, "*?[{!") }

var sshAddress = regexp.MustCompile(`^(ssh://)?[^/:]*@[^@]+$`)

// normalized is an address as Argo CD compares it: in lower case, without .git, and without ssh://,
// the same in git's short form. A slash at the end counts. Source: Argo CD 3.2.11, util/git/git.go
// (NormalizeGitURL), which the check of AppProjects calls for charts too
// (pkg/apis/application/v1alpha1/app_project_types.go, IsSourcePermitted).
func normalized(address string) string {
	address = strings.ToLower(strings.TrimSpace(address))
	if sshAddress.MatchString(address) && !strings.HasPrefix(address, "ssh://") {
		address = "ssh://" + strings.Replace(address, ":", "/", 1)
	}
	address = strings.TrimSuffix(address, ".git")
	if parsed, err := url.Parse(address); err == nil {
		address = parsed.String()
	}
	return strings.TrimPrefix(address, "ssh://")
}

func (c cluster) remedy() string {
	return fmt.Sprintf("run `pulumi -C %s up -s %s`", stacks.Bootstrap.Directory, c.environment)
}

// get reads the object at path. One that is not there leaves into as it is.
func (c cluster) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server+path, nil)
	if err != nil {
		return fmt.Errorf("the cluster of %s has the address %q, which is none: %w", c.environment, c.server, err)
	}
	request.Header.Set("Accept", "application/json")
	response, err := c.client.Do(request)
	if err != nil {
		return fmt.Errorf("the cluster of %s does not answer within %s; see that it runs and that this network reaches it: %w",
			c.environment, Timeout, err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("the cluster of %s did not finish its answer to %s; try again: %w", c.environment, path, err)
	}
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("the cluster of %s refuses to answer %s (%s); sign in as an administrator of it",
			c.environment, path, response.Status)
	default:
		return fmt.Errorf("the cluster of %s answers %s with %s; try again when it is well", c.environment, path, response.Status)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the cluster of %s answers %s with something else than Kubernetes does: %w", c.environment, path, err)
	}
	return nil
}
