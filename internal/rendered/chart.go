package rendered

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
	"sigs.k8s.io/yaml"
)

// Release is a Helm release as a side installs it.
type Release struct {
	Name      string
	Namespace string
	// Chart is the chart's name in Repository. Without a repository it is the path of a chart's
	// folder or archive, or the whole address of an archive or of a chart in an OCI registry.
	Chart string
	// Version is one version of the chart, or a range of them.
	Version string
	// Repository is the address of a chart repository (https://…), of a folder of an OCI registry
	// (oci://…), or "".
	Repository string
	// Folder is what a relative path in Chart is relative to.
	Folder string
	Values map[string]any
	// Install is set when the release is not there yet.
	Install bool
}

// Charts reads charts, each once, and renders them. It keeps them in memory only.
type Charts struct {
	// Kubernetes is the version of the cluster, such as 1.34, which templates may ask for.
	Kubernetes string
	// Client is for chart repositories and registries; nil is the default one.
	Client *http.Client

	read    map[string]archive
	indexes map[string]answer // by their addresses
}

// answer is what a request brought.
type answer struct {
	index index
	err   error
}

// archive is what reading a chart brought.
type archive struct {
	files []*loader.BufferedFile
	err   error
}

const (
	// patience bounds the reading of one chart. A repository that does not answer must not hold up
	// a report.
	patience = 10 * time.Second
	// mostOfAChart bounds what is read of an answer. The index of the Bitnami repository had 20 MB
	// (helm/helm#10542).
	mostOfAChart = 64 << 20
)

// ErrUnreadable is the error of a chart that cannot be read where it should be. The release may be
// right nevertheless.
var ErrUnreadable = errors.New("the chart cannot be read")

// Render returns the objects of a release. It renders twice, and replaces the values that the chart
// makes by chance.
func (c *Charts) Render(ctx context.Context, r Release) ([]Object, error) {
	files, err := c.files(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	once, err := c.render(files, r)
	if err != nil {
		return nil, err
	}
	twice, err := c.render(files, r)
	if err != nil {
		return nil, err
	}
	return masked(once, twice), nil
}

// render follows Helm's own way from a chart to manifests (Helm 3.18.6, pkg/action/install.go and
// action.go, renderResources). The package action itself would bring the clients of clusters and
// registries along.
func (c *Charts) render(files []*loader.BufferedFile, r Release) ([]Object, error) {
	loaded, err := loader.LoadFiles(files) // rendering changes the chart
	if err != nil {
		return nil, err
	}
	if loaded.Metadata.Type == "library" {
		return nil, fmt.Errorf("the chart %s is a library, which cannot be installed", loaded.Name())
	}
	if err := complete(loaded); err != nil {
		return nil, err
	}
	capabilities := *chartutil.DefaultCapabilities
	if c.Kubernetes != "" {
		version, err := chartutil.ParseKubeVersion(c.Kubernetes)
		if err != nil {
			return nil, fmt.Errorf("%q is no version of Kubernetes: %w", c.Kubernetes, err)
		}
		capabilities.KubeVersion = *version
	}
	if wants := loaded.Metadata.KubeVersion; wants != "" && !chartutil.IsCompatibleRange(wants, capabilities.KubeVersion.String()) {
		return nil, fmt.Errorf("the chart is for Kubernetes %s, and the cluster has %s", wants, capabilities.KubeVersion.String())
	}
	values, err := copied(r.Values)
	if err != nil {
		return nil, err
	}
	if err := chartutil.ProcessDependenciesWithMerge(loaded, values); err != nil {
		return nil, err
	}
	made, err := chartutil.ToRenderValues(loaded, values, chartutil.ReleaseOptions{
		Name: r.Name, Namespace: r.Namespace, Revision: 1, IsInstall: r.Install, IsUpgrade: !r.Install,
	}, &capabilities)
	if err != nil {
		return nil, err
	}
	texts, err := engine.Engine{}.Render(loaded, made)
	if err != nil {
		return nil, err
	}
	return manifests(loaded, texts, r.Namespace)
}

// complete returns an error when a chart that another needs is not in the archive.
func complete(c *chart.Chart) error {
	for _, needed := range c.Metadata.Dependencies {
		if !slices.ContainsFunc(c.Dependencies(), func(has *chart.Chart) bool { return has.Name() == needed.Name }) {
			return fmt.Errorf("the chart %s needs the chart %s, which is not in its folder charts; run helm dependency build",
				c.Name(), needed.Name)
		}
	}
	return nil
}

// manifests reads the objects of rendered templates.
func manifests(c *chart.Chart, texts map[string]string, namespace string) ([]Object, error) {
	var objects []Object
	add := func(file string, text []byte, fromCRDs bool) error {
		found, err := decode(text, namespace)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for _, o := range found {
			if testHook.MatchString(o.GetAnnotations()["helm.sh/hook"]) {
				continue
			}
			o.CRDFolder = fromCRDs
			objects = append(objects, o)
		}
		return nil
	}
	for _, crd := range c.CRDObjects() {
		if err := add(crd.Filename, crd.File.Data, true); err != nil {
			return nil, err
		}
	}
	for file := range texts {
		if strings.HasSuffix(file, "NOTES.txt") {
			delete(texts, file)
		}
	}
	hooks, sorted, err := releaseutil.SortManifests(texts, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, err
	}
	for _, m := range sorted {
		if err := add(m.Name, []byte(m.Content), false); err != nil {
			return nil, err
		}
	}
	for _, h := range hooks {
		if err := add(h.Path, []byte(h.Manifest), false); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// copied returns the values with numbers as Helm reads them: without it, a template would change
// those of the caller.
func copied(values map[string]any) (map[string]any, error) {
	if values == nil {
		return map[string]any{}, nil
	}
	text, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	result := map[string]any{}
	return result, json.Unmarshal(text, &result)
}

// files returns the files of a release's chart.
func (c *Charts) files(ctx context.Context, r Release) ([]*loader.BufferedFile, error) {
	key := strings.Join([]string{r.Folder, r.Repository, r.Chart, r.Version}, "\n")
	if c.read == nil {
		c.read = map[string]archive{}
	}
	a, ok := c.read[key]
	if !ok {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		a.files, a.err = c.fetch(ctx, r)
		c.read[key] = a
	}
	return a.files, a.err
}

func (c *Charts) fetch(ctx context.Context, r Release) ([]*loader.BufferedFile, error) {
	var content []byte
	var err error
	switch {
	case strings.HasPrefix(r.Repository, "oci://"):
		content, err = c.fromRegistry(ctx, strings.TrimSuffix(r.Repository, "/")+"/"+r.Chart, r.Version)
	case r.Repository != "":
		content, err = c.fromRepository(ctx, r)
	case strings.HasPrefix(r.Chart, "oci://"):
		content, err = c.fromRegistry(ctx, r.Chart, r.Version)
	case strings.Contains(r.Chart, "://"):
		content, err = c.get(ctx, r.Chart)
	default:
		return fromFile(r)
	}
	if err != nil {
		return nil, err
	}
	return loader.LoadArchiveFiles(bytes.NewReader(content))
}

// fromFile reads a chart's folder or archive.
func fromFile(r Release) ([]*loader.BufferedFile, error) {
	path := filepath.FromSlash(r.Chart)
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.Folder, path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close() // it is only read
		return loader.LoadArchiveFiles(file)
	}
	loaded, err := loader.LoadDir(path)
	if err != nil {
		return nil, err
	}
	var files []*loader.BufferedFile
	for _, f := range loaded.Raw {
		files = append(files, &loader.BufferedFile{Name: f.Name, Data: f.Data})
	}
	return files, nil
}

// index is the part of a repository's index.yaml that finds an archive
// (helm.sh/docs/topics/chart_repository, "The index file").
type index struct {
	Entries map[string][]struct {
		Version string   `json:"version"`
		URLs    []string `json:"urls"`
		Digest  string   `json:"digest"`
	} `json:"entries"`
}

// index reads the index of a repository. A repository that does not answer is asked once.
func (c *Charts) index(ctx context.Context, address string) (index, error) {
	if c.indexes == nil {
		c.indexes = map[string]answer{}
	}
	if known, ok := c.indexes[address]; ok {
		return known.index, known.err
	}
	var read answer
	text, err := c.get(ctx, address)
	if err == nil {
		err = yaml.Unmarshal(text, &read.index)
	}
	if read.err = err; err != nil {
		read.err = fmt.Errorf("%s: %w", address, err)
	}
	c.indexes[address] = read
	return read.index, read.err
}

func (c *Charts) fromRepository(ctx context.Context, r Release) ([]byte, error) {
	base, err := url.Parse(strings.TrimSuffix(r.Repository, "/") + "/")
	if err != nil {
		return nil, err
	}
	found, err := c.index(ctx, base.JoinPath("index.yaml").String())
	if err != nil {
		return nil, err
	}
	wanted, err := semver.NewConstraint(orAny(r.Version))
	if err != nil {
		return nil, fmt.Errorf("%q is no version of a chart: %w", r.Version, err)
	}
	var newest *semver.Version
	address, digest := "", ""
	for _, entry := range found.Entries[r.Chart] {
		version, err := semver.NewVersion(entry.Version)
		if err != nil || len(entry.URLs) == 0 {
			continue
		}
		exact := entry.Version == r.Version
		if exact || wanted.Check(version) && (newest == nil || version.GreaterThan(newest)) {
			newest, address, digest = version, entry.URLs[0], entry.Digest
		}
		if exact {
			break
		}
	}
	if address == "" {
		return nil, fmt.Errorf("%s has no version %s of the chart %s", r.Repository, r.Version, r.Chart)
	}
	relative, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	content, err := c.get(ctx, base.ResolveReference(relative).String())
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(content); digest != "" && hex.EncodeToString(sum[:]) != strings.TrimPrefix(digest, "sha256:") {
		return nil, fmt.Errorf("the archive of %s %s does not have the digest of the index", r.Chart, r.Version)
	}
	return content, nil
}

func orAny(version string) string {
	if version == "" {
		return "*"
	}
	return version
}

func (c *Charts) client() *http.Client {
	if c.Client == nil {
		return http.DefaultClient // the context bounds its time
	}
	return c.Client
}

func (c *Charts) get(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := c.client().Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() // it is only read
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", address, response.Status)
	}
	return bounded(response.Body)
}

// bounded reads an answer, unless it is too long.
func bounded(from io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(from, mostOfAChart+1))
	if err == nil && len(content) > mostOfAChart {
		err = fmt.Errorf("it has more than %d MB", mostOfAChart>>20)
	}
	return content, err
}

// chartLayer is the media type of a chart in a registry (helm.sh/docs/topics/registries, "Helm
// chart manifest").
const chartLayer = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

// fromRegistry reads a chart of an OCI registry that needs no login. A tag has no +, so Helm writes
// _ (helm.sh/docs/topics/registries).
func (c *Charts) fromRegistry(ctx context.Context, address, version string) ([]byte, error) {
	reference, err := name.NewTag(strings.TrimPrefix(address, "oci://") + ":" + strings.ReplaceAll(version, "+", "_"))
	if err != nil {
		return nil, err
	}
	options := []remote.Option{remote.WithContext(ctx)}
	if transport := c.client().Transport; transport != nil {
		options = append(options, remote.WithTransport(transport))
	}
	image, err := remote.Image(reference, options...)
	if err != nil {
		return nil, err
	}
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	for _, layer := range layers {
		if kind, err := layer.MediaType(); err != nil || string(kind) != chartLayer {
			continue
		}
		content, err := layer.Compressed()
		if err != nil {
			return nil, err
		}
		defer content.Close() // it is only read
		return bounded(content)
	}
	return nil, fmt.Errorf("%s is no chart", reference)
}
