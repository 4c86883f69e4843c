package nodeagent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	volumesDir = "volumes"
	// refreshInterval is how often mounted ConfigMaps and Secrets are looked at again: a kubelet
	// does so within a minute and a half (kubernetes.io, "Secrets", mounted Secrets are updated
	// automatically).
	refreshInterval = 10 * time.Second
)

// file is a file of a volume.
type file struct {
	content []byte
	mode    fs.FileMode
}

// writeVolumes makes the volumes of the pod, or renews them. The error begins with the name of the
// volume, in quotes.
func (p *pod) writeVolumes(ctx context.Context) error {
	read := p.values()
	for _, volume := range p.spec.Volumes {
		dir := p.volumeDir(volume.Name)
		if volume.EmptyDir != nil {
			if err := os.MkdirAll(dir, 0o777); err != nil { //nolint:gosec // as a kubelet does: the container's user writes to it
				return fmt.Errorf("%q : %w", volume.Name, err)
			}
			continue
		}
		files, err := p.filesOf(ctx, read, volume.VolumeSource)
		if err == nil {
			err = replaceFiles(dir, files)
		}
		if err != nil {
			return fmt.Errorf("%q : %w", volume.Name, err)
		}
	}
	return nil
}

func (p *pod) volumeDir(name string) string { return filepath.Join(p.dir, volumesDir, name) }

// refresh renews the volumes until the pod has ended.
func (p *pod) refresh() {
	ticker := time.NewTicker(refreshInterval)
	defer ticker.Stop()
	for {
		select {
		case <-p.finished:
			return
		case <-p.life.Done():
			return
		case <-ticker.C:
			// What is gone stays mounted as it was, as with a kubelet.
			if err := p.writeVolumes(p.life); err != nil && p.life.Err() == nil {
				p.events.Eventf(p.seen(), corev1.EventTypeWarning, "FailedMount", "MountVolume.SetUp failed for volume %v", err)
			}
		}
	}
}

func (p *pod) filesOf(ctx context.Context, read *values, source corev1.VolumeSource) (map[string]file, error) {
	switch {
	case source.ConfigMap != nil:
		s := source.ConfigMap
		data, err := read.configMap(ctx, s.Name, s.Optional)
		if err != nil {
			return nil, err
		}
		return chosen(data, s.Items, modeOr(s.DefaultMode, 0o644), s.Optional)
	case source.Secret != nil:
		s := source.Secret
		data, err := read.secret(ctx, s.SecretName, s.Optional)
		if err != nil {
			return nil, err
		}
		return chosen(data, s.Items, modeOr(s.DefaultMode, 0o644), s.Optional)
	case source.DownwardAPI != nil:
		return p.downward(source.DownwardAPI.Items, modeOr(source.DownwardAPI.DefaultMode, 0o644))
	case source.Projected != nil:
		return p.projected(ctx, read, source.Projected)
	default:
		return nil, errors.New("the lab has ConfigMaps, Secrets, projected, downwardAPI and emptyDir volumes only")
	}
}

func (p *pod) projected(ctx context.Context, read *values, source *corev1.ProjectedVolumeSource) (map[string]file, error) {
	all, mode := map[string]file{}, modeOr(source.DefaultMode, 0o644)
	for _, s := range source.Sources {
		var files map[string]file
		var data map[string][]byte
		var err error
		switch {
		case s.ConfigMap != nil:
			if data, err = read.configMap(ctx, s.ConfigMap.Name, s.ConfigMap.Optional); err == nil {
				files, err = chosen(data, s.ConfigMap.Items, mode, s.ConfigMap.Optional)
			}
		case s.Secret != nil:
			if data, err = read.secret(ctx, s.Secret.Name, s.Secret.Optional); err == nil {
				files, err = chosen(data, s.Secret.Items, mode, s.Secret.Optional)
			}
		case s.DownwardAPI != nil:
			files, err = p.downward(s.DownwardAPI.Items, mode)
		case s.ServiceAccountToken != nil:
			files, err = p.token(ctx, s.ServiceAccountToken)
		default:
			err = errors.New("the lab does not know a source of the projected volume")
		}
		if err != nil {
			return nil, err
		}
		maps.Copy(all, files)
	}
	return all, nil
}

// token is a token of the pod's service account, and when to ask for another.
type token struct {
	text  string
	renew time.Time
}

// token returns a token of the pod's service account. It asks the API server for a new one when
// four fifths of the last one's time have passed (kubernetes.io, "Managing Service Accounts").
func (p *pod) token(ctx context.Context, source *corev1.ServiceAccountTokenProjection) (map[string]file, error) {
	known := p.tokens[source.Path]
	if time.Now().Before(known.renew) {
		return map[string]file{source.Path: {[]byte(known.text), 0o600}}, nil
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: source.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: p.name.Name, UID: p.uid},
	}}
	if source.Audience != "" {
		request.Spec.Audiences = []string{source.Audience}
	}
	issued, err := p.agent.client.CoreV1().ServiceAccounts(p.name.Namespace).
		CreateToken(ctx, p.spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("failed to fetch token: %w", err)
	}
	life := time.Until(issued.Status.ExpirationTimestamp.Time)
	p.tokens[source.Path] = token{issued.Status.Token, time.Now().Add(life * 4 / 5)}
	return map[string]file{source.Path: {[]byte(issued.Status.Token), 0o600}}, nil
}

func (p *pod) downward(items []corev1.DownwardAPIVolumeFile, mode fs.FileMode) (map[string]file, error) {
	files := map[string]file{}
	for _, item := range items {
		var value string
		var err error
		if item.FieldRef != nil {
			value, err = p.field(item.FieldRef.FieldPath)
		} else if item.ResourceFieldRef != nil {
			value, err = p.resource(&p.spec.Containers[0], item.ResourceFieldRef)
		}
		if err != nil {
			return nil, err
		}
		files[item.Path] = file{[]byte(value), modeOr(item.Mode, mode)}
	}
	return files, nil
}

func modeOr(mode *int32, fallback fs.FileMode) fs.FileMode {
	if mode != nil {
		return fs.FileMode(*mode).Perm()
	}
	return fallback
}

// chosen are the files for the keys of a ConfigMap or a Secret: all of them, or those of items.
func chosen(data map[string][]byte, items []corev1.KeyToPath, mode fs.FileMode, optional *bool) (map[string]file, error) {
	files := map[string]file{}
	if len(items) == 0 {
		for key, content := range data {
			files[key] = file{content, mode}
		}
		return files, nil
	}
	for _, item := range items {
		content, found := data[item.Key]
		if !found {
			if optional != nil && *optional {
				continue
			}
			return nil, fmt.Errorf("references non-existent secret key: %s", item.Key)
		}
		files[item.Path] = file{content, modeOr(item.Mode, mode)}
	}
	return files, nil
}

// present is the link to the folder with the present files of a volume, the kubelet's name for it
// (Kubernetes 1.35, pkg/volume/util/atomic_writer.go).
const present = "..data"

// replaceFiles gives a volume other files, all at once: a reader sees the old ones or the new ones.
func replaceFiles(dir string, files map[string]file) error {
	if same, err := hasFiles(filepath.Join(dir, present), files); same || err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	folder, err := os.MkdirTemp(dir, ".."+time.Now().UTC().Format("2006_01_02_15_04_05."))
	if err != nil {
		return err
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		return err
	}
	for name, f := range files {
		at := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, f.content, f.mode); err != nil {
			return err
		}
		if err := os.Chmod(at, f.mode); err != nil { // whatever the umask is
			return err
		}
	}
	before, _ := os.Readlink(filepath.Join(dir, present)) // there is none at first
	link := filepath.Join(dir, present+"_tmp")
	if err := os.Symlink(filepath.Base(folder), link); err != nil {
		return err
	}
	if err := os.Rename(link, filepath.Join(dir, present)); err != nil {
		return err
	}
	if err := linkFiles(dir, files); err != nil {
		return err
	}
	if before == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(dir, before))
}

// linkFiles makes what a container sees of a volume lead to the present files.
func linkFiles(dir string, files map[string]file) error {
	wanted := map[string]bool{}
	for name := range files {
		first, _, _ := strings.Cut(filepath.ToSlash(name), "/")
		wanted[first] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasPrefix(name, "..") && !wanted[name] {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		err := os.Symlink(filepath.Join(present, name), filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

func hasFiles(dir string, files map[string]file) (bool, error) {
	found := 0
	err := filepath.WalkDir(dir+"/", func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(at) //nolint:gosec // only the agent writes to this folder
		if err != nil {
			return err
		}
		if f, wanted := files[filepath.ToSlash(name)]; !wanted || !bytes.Equal(f.content, content) {
			found = -1
			return fs.SkipAll
		}
		found++
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return found == len(files), err
}
