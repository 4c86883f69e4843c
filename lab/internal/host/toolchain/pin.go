package toolchain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gridos/sharedinfra/internal/yamlnode"
	"github.com/gridos/sharedinfra/lab/internal/host/atomicfile"
)

// publisher answers what upstream says of its own archives. Tests replace the addresses.
type publisher struct {
	client *http.Client
	github string // the address of GitHub's API
}

func newPublisher() publisher {
	return publisher{client: newDownloader().client, github: "https://api.github.com"}
}

// Pin brings the file of checksums up to date: it writes each tool's pinned version into it, and
// asks upstream for the checksums of what has moved and of what has none. It returns a line for
// each new checksum. A checksum that upstream does not publish stays missing, and is an error after
// all others are written; it is never computed from a download.
func (r *Resolver) Pin(ctx context.Context) (written []string, err error) {
	return r.pin(ctx, newPublisher())
}

func (r *Resolver) pin(ctx context.Context, from publisher) (written []string, err error) {
	all, err := r.downloads()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(r.ToolsDir, sumsFile)
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, err
	}
	moved := map[string]bool{}
	for i := range all.Tools {
		version, err := r.Version(all.Tools[i].Tool)
		if err != nil {
			return nil, err
		}
		moved[all.Tools[i].Tool] = version != all.Tools[i].Version
		all.Tools[i].Version = version
	}
	var failures []error
	ask := func(name, on, address string, at *yaml.Node) {
		yamlnode.Remove(at, "sum")
		yamlnode.Remove(at, "size")
		sum, size, err := from.published(ctx, address)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s for %s: %w", name, on, err))
			return
		}
		yamlnode.Add(at, "sum", yamlnode.Text(sum))
		if size > 0 {
			yamlnode.Add(at, "size", yamlnode.Text(fmt.Sprint(size)))
		}
		written = append(written, fmt.Sprintf("%s for %s: %s", name, on, sum))
	}
	root := document.Content[0]
	for _, node := range yamlnode.Field(root, "tools").Content {
		entry, _ := all.entry(yamlnode.Field(node, "tool").Value)
		yamlnode.Field(node, "version").Value = entry.Version
		for on, at := range yamlnode.Pairs(yamlnode.Field(node, "archives")) {
			a := entry.Archives[on]
			if a.Sum == "" || moved[entry.Tool] || strings.Contains(a.URL, "{kubernetes}") && moved[KubeAPIServer] {
				ask(entry.Tool+" "+entry.Version, on, all.resolved(a, entry.Version).URL, at)
			}
		}
	}
	for on, at := range yamlnode.Pairs(yamlnode.Field(root, "bundle")) {
		if a := all.Bundle[on]; a.Sum == "" {
			ask("the bundle", on, a.URL, at)
		}
	}
	content, err = yamlnode.Marshal(&document)
	if err == nil {
		err = atomicfile.Write(file, content)
	}
	return written, errors.Join(append([]error{err}, failures...)...)
}

// releaseAsset matches the address of an archive of a release on GitHub.
var releaseAsset = regexp.MustCompile(`^https://github\.com/([^/]+/[^/]+)/releases/download/(.+)/([^/]+)$`)

// published asks for a checksum where upstream publishes it. GitHub has one of every asset since
// June 2025 ("Releases now expose digests for release assets", GitHub changelog, 2025-06-03).
// dl.k8s.io has a file with the checksum beside each program ("Install and Set Up kubectl on
// Linux", Kubernetes 1.35).
func (p publisher) published(ctx context.Context, address string) (sum string, size int64, err error) {
	if strings.HasPrefix(address, "https://dl.k8s.io/") {
		text, err := p.ask(ctx, address+".sha256")
		if err != nil {
			return "", 0, err
		}
		return valid("sha256:"+strings.TrimSpace(string(text)), 0)
	}
	match := releaseAsset.FindStringSubmatch(address)
	if match == nil {
		return "", 0, fmt.Errorf("nothing is known of where the checksum of %s is published", address)
	}
	text, err := p.ask(ctx, p.github+path.Join("/repos", match[1], "releases/tags", url.PathEscape(match[2])))
	if err != nil {
		return "", 0, err
	}
	var release struct {
		Assets []struct {
			Name, Digest string
			Size         int64
		}
	}
	if err := json.Unmarshal(text, &release); err != nil {
		return "", 0, err
	}
	for _, asset := range release.Assets {
		if asset.Name == match[3] {
			return valid(asset.Digest, asset.Size)
		}
	}
	return "", 0, fmt.Errorf("the release %s of %s has no %s", match[2], match[1], match[3])
}

func valid(sum string, size int64) (string, int64, error) {
	if !sumPattern.MatchString(sum) {
		return "", 0, fmt.Errorf("upstream publishes no checksum, but %q", sum)
	}
	return sum, size, nil
}

// ask returns a short answer.
func (p publisher) ask(ctx context.Context, address string) (text []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", address, response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, 8<<20))
}
