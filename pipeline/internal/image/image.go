// Package image copies images from one registry to another through a folder, so that no identity
// needs rights in both: the pushed image equals the pulled one, byte for byte.
package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// options returns the options of each request. The credentials are those that docker login or az
// acr login has stored.
func options(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
}

// Pull writes an image, or an index with the images of all platforms, as an OCI layout into dir,
// which does not exist or is empty, and the provenance that is attached to it. It returns the
// digest.
func Pull(ctx context.Context, ref name.Reference, dir string) (digest v1.Hash, err error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return v1.Hash{}, fmt.Errorf("%s is not empty; name another folder, or remove it", dir)
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return v1.Hash{}, fmt.Errorf("see whether %s is empty: %w", dir, err)
	}
	found, err := remote.Get(ref, options(ctx)...)
	if err != nil {
		return v1.Hash{}, explain("pull", ref, err)
	}
	// A folder with this name is complete: it gets the name only at the end.
	dir = filepath.Clean(dir)
	unfinished := ""
	if err = os.MkdirAll(filepath.Dir(dir), 0o755); err == nil {
		unfinished, err = os.MkdirTemp(filepath.Dir(dir), ".unfinished-")
	}
	if err == nil {
		err = os.Chmod(unfinished, 0o755)
	}
	if err != nil {
		return v1.Hash{}, fmt.Errorf("make a folder for %s: %w", ref, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(unfinished)) }()
	to, err := layout.Write(unfinished, empty.Index)
	switch {
	case err != nil:
	case found.MediaType.IsIndex():
		var index v1.ImageIndex
		if index, err = found.ImageIndex(); err == nil {
			err = to.AppendIndex(index)
		}
	default:
		var image v1.Image
		if image, err = found.Image(); err == nil {
			err = to.AppendImage(image)
		}
	}
	if err == nil {
		err = pullProvenance(ctx, ref.Context().Digest(found.Digest.String()), to)
	}
	if err != nil {
		return v1.Hash{}, explain("pull", ref, err)
	}
	// Rename does not replace a folder, not even an empty one.
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return v1.Hash{}, err
	}
	return found.Digest, os.Rename(unfinished, dir)
}

// TakenError says that a tag already names another image.
type TakenError struct {
	Ref name.Tag
	// There is the digest that it has, and Wanted the one that it would get.
	There, Wanted v1.Hash
}

// Error says what the tag is, and what to do.
func (e *TakenError) Error() string {
	return fmt.Sprintf("%s is %s already and would become %s; a tag names one image for ever: untag it there if nothing runs it, or "+
		"release a new commit", e.Ref, e.There, e.Wanted)
}

// Push pushes the image that Pull has written into dir, and returns its digest, which stays the
// same. Push never moves an existing tag: if the tag names another image, the error is a
// TakenError, because pods may run that image and nodes keep images that they have pulled.
func Push(ctx context.Context, dir string, ref name.Tag) (v1.Hash, error) {
	from, err := open(dir)
	if err != nil {
		return v1.Hash{}, err
	}
	digest := from.image.Digest
	there, err := remote.Head(ref, options(ctx)...)
	refused := (*transport.Error)(nil)
	switch {
	case err == nil && there.Digest == digest: // its provenance may still be missing
	case err == nil:
		return v1.Hash{}, &TakenError{Ref: ref, There: there.Digest, Wanted: digest}
	case !errors.As(err, &refused) || refused.StatusCode != http.StatusNotFound:
		return v1.Hash{}, explain("look for", ref, err)
	default:
		if err := from.push(ctx, ref); err != nil {
			return v1.Hash{}, err
		}
	}
	for _, attached := range from.attached {
		if err := remote.Write(ref.Context().Digest(attached.digest.String()), attached.manifest, options(ctx)...); err != nil {
			return v1.Hash{}, explain("push the provenance of", ref, err)
		}
	}
	return digest, nil
}

// same compares a manifest with its name in the layout: a registry checks the layers, but accepts a
// manifest with any digest.
func same(wanted v1.Hash, has interface{ Digest() (v1.Hash, error) }) error {
	digest, err := has.Digest()
	if err != nil {
		return err
	}
	if digest != wanted {
		return fmt.Errorf("%s has become %s; pull it again", wanted, digest)
	}
	return nil
}

// folder is an OCI layout with an image and its attachments.
type folder struct {
	dir      string
	index    v1.ImageIndex
	image    v1.Descriptor
	attached []attached
}

// open reads an OCI layout. An attachment names its image as its subject.
func open(dir string) (folder, error) {
	unreadable := func(err error) (folder, error) {
		return folder{}, fmt.Errorf("read the OCI layout in %s: %w", dir, err)
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return folder{}, fmt.Errorf("%s is no OCI layout; make one with image pull: %w", dir, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return unreadable(err)
	}
	f := folder{dir: dir, index: index}
	images := 0
	for _, one := range manifest.Manifests {
		if one.MediaType.IsImage() {
			manifest, err := index.Image(one.Digest)
			of, err := asAttached(one.Digest, manifest, err)
			if err != nil {
				return unreadable(err)
			}
			if of.subject != nil {
				f.attached = append(f.attached, of)
				continue
			}
		}
		f.image = one
		images++
	}
	if images != 1 {
		return folder{}, fmt.Errorf("the OCI layout in %s has %d images and should have one; make one with image pull", dir, images)
	}
	for _, one := range f.attached {
		if one.subject.Digest != f.image.Digest {
			return folder{}, fmt.Errorf("the OCI layout in %s has what is attached to %s, and the image %s; make one with image pull",
				dir, one.subject.Digest, f.image.Digest)
		}
	}
	return f, nil
}

// push pushes the image alone.
func (f folder) push(ctx context.Context, ref name.Tag) error {
	if f.image.MediaType.IsIndex() {
		index, err := f.index.ImageIndex(f.image.Digest)
		if err == nil {
			err = same(f.image.Digest, index)
		}
		if err != nil {
			return fmt.Errorf("read the OCI layout in %s: %w", f.dir, err)
		}
		return explain("push", ref, remote.WriteIndex(ref, index, options(ctx)...))
	}
	image, err := f.index.Image(f.image.Digest)
	if err == nil {
		err = same(f.image.Digest, image)
	}
	if err != nil {
		return fmt.Errorf("read the OCI layout in %s: %w", f.dir, err)
	}
	return explain("push", ref, remote.Write(ref, image, options(ctx)...))
}

// explain says what to do about a registry's refusal.
func explain(doing string, ref name.Reference, err error) error {
	if err == nil {
		return nil
	}
	remedy := ""
	if refused := (*transport.Error)(nil); errors.As(err, &refused) {
		switch refused.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			remedy = "; sign in with az acr login or docker login as a user who may"
		case http.StatusNotFound:
			remedy = "; see whether it was pushed"
		}
	}
	return fmt.Errorf("%s %s%s: %w", doing, ref, remedy, err)
}
