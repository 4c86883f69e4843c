package nodeagent

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"

	"github.com/gridos/sharedinfra/lab/internal/host/atomicfile"
)

// images are the images that the nodes have, unpacked, each once.
type images struct {
	dir, registry string
	mirrored      func() []string
	mu            sync.Mutex // one pull at a time
}

// image is an unpacked image.
type image struct {
	root   string // the folder with its files
	id     string // as the status of a container names it
	config v1.Config
}

// errNeverPull is the kubelet's error about an image that is not there and must not be pulled.
var errNeverPull = errors.New("container image is not present with pull policy of Never")

func openImages(dir, registry string, mirrored func() []string) (*images, error) {
	for _, folder := range []string{"tags", "unpacked"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			return nil, err
		}
	}
	return &images{dir: dir, registry: registry, mirrored: mirrored}, nil
}

// reference is where the lab's registry has an image, and whether it is one that it should have.
// Mirrors are what containerd calls a host of a registry (containerd, docs/hosts.md).
func (i *images) reference(text string) (name.Reference, bool) {
	reference, err := name.ParseReference(text)
	if err != nil || i.registry == "" {
		return nil, false
	}
	at := reference.Context().RegistryStr()
	if at != i.registry && (i.mirrored == nil || !slices.Contains(i.mirrored(), at)) {
		return nil, false
	}
	separator := ":"
	if _, digest := reference.(name.Digest); digest {
		separator = "@"
	}
	mirror, err := name.ParseReference(i.registry + "/" + reference.Context().RepositoryStr() + separator + reference.Identifier())
	return mirror, err == nil
}

func (i *images) tagFile(text string) string {
	return filepath.Join(i.dir, "tags", url.PathEscape(text))
}

// present reports whether the nodes have an image.
func (i *images) present(text string) bool {
	_, err := os.Stat(i.tagFile(text))
	return err == nil
}

// ensure returns an image by the name in a manifest, and whether it was pulled for that.
func (i *images) ensure(ctx context.Context, text string, policy corev1.PullPolicy) (found image, pulled bool, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if policy != corev1.PullAlways {
		digest, err := os.ReadFile(i.tagFile(text))
		if err == nil {
			found, err = i.open(string(digest))
		}
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return found, false, err
		}
		if policy == corev1.PullNever {
			return image{}, false, fmt.Errorf("%w: %q", errNeverPull, text)
		}
	}
	reference, here := i.reference(text)
	if !here {
		return image{}, false, fmt.Errorf("%s is no image of the lab's registry", text)
	}
	remoteImage, err := remote.Image(reference, remote.WithContext(ctx))
	if err != nil {
		return image{}, false, err
	}
	digest, err := remoteImage.Digest()
	if err != nil {
		return image{}, false, err
	}
	if found, err = i.open(digest.String()); errors.Is(err, fs.ErrNotExist) {
		if err = i.unpack(remoteImage, digest.String()); err == nil {
			found, err = i.open(digest.String())
		}
	}
	if err != nil {
		return image{}, false, fmt.Errorf("unpack %s: %w", text, err)
	}
	return found, true, atomicfile.Write(i.tagFile(text), []byte(digest.String()))
}

// open returns an image that was unpacked.
func (i *images) open(digest string) (image, error) {
	folder := filepath.Join(i.dir, "unpacked", digest)
	text, err := os.ReadFile(folder + ".json")
	if err != nil {
		return image{}, err
	}
	found := image{root: folder, id: digest}
	return found, json.Unmarshal(text, &found.config)
}

// unpack writes the files of an image into its folder. The file with the configuration comes last:
// it says that the folder is complete.
func (i *images) unpack(from v1.Image, digest string) error {
	config, err := from.ConfigFile()
	if err != nil {
		return err
	}
	folder := filepath.Join(i.dir, "unpacked", digest)
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	files := mutate.Extract(from)
	defer files.Close()
	for reader := tar.NewReader(files); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := extract(root, header, reader); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
	text, err := json.Marshal(config.Config)
	if err != nil {
		return err
	}
	return atomicfile.Write(folder+".json", text)
}

// extract writes one file of an image. Devices and the like are left out: no container of the lab
// has the right to use them.
func extract(root *os.Root, header *tar.Header, content io.Reader) error {
	at := path.Clean("/" + header.Name)[1:]
	if at == "" {
		return nil
	}
	mode := header.FileInfo().Mode().Perm()
	if err := root.MkdirAll(path.Dir(at), 0o755); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(at, mode|0o700)
	case tar.TypeSymlink:
		return root.Symlink(header.Linkname, at)
	case tar.TypeLink:
		return root.Link(path.Clean("/" + header.Linkname)[1:], at)
	case tar.TypeReg:
		file, err := root.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Close())
	default:
		return nil
	}
}

// copyTree makes the files of an image the beginning of a container's file system. With link they
// are the same files, which must then not be written.
func copyTree(from, to string, link bool) error {
	return filepath.WalkDir(from, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, at)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o755)
		case entry.Type()&fs.ModeSymlink != 0:
			destination, err := os.Readlink(at)
			if err != nil {
				return err
			}
			return os.Symlink(destination, target) //nolint:gosec // only the agent writes to both folders
		case link:
			return os.Link(at, target) //nolint:gosec // only the agent writes to both folders
		}
		return copyFile(at, target)
	})
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
