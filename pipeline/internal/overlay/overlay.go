// Package overlay reads and sets the application's image in the overlay of an environment.
package overlay

import (
	"fmt"
	"path"
	"regexp"

	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/naming"
)

// imageName is what the base calls the image; overlays replace it.
const imageName = "gridosacr.azurecr.io/gridos"

// File is the file of an environment's overlay that names the image, from the root of the
// repository and with slashes.
func File(environment string) string {
	return path.Join(naming.Overlay(environment), "kustomization.yaml")
}

// Image is one in a registry.
type Image struct {
	// Repository is where it is, such as devgridosacr.azurecr.io/gridos.
	Repository string
	// Tag is its tag, such as dev-abc1234.
	Tag string
	// Digest is that of its bytes, such as sha256:0123…: with a digest the tag has no effect. "" is
	// for an image that is not released yet.
	Digest string
}

// String is the reference, such as devgridosacr.azurecr.io/gridos:dev-abc1234@sha256:0123….
func (i Image) String() string {
	if i.Digest == "" {
		return i.Repository + ":" + i.Tag
	}
	return i.Repository + ":" + i.Tag + "@" + i.Digest
}

var tagPattern = regexp.MustCompile(`^([a-z]+)-([0-9a-f]{7,40})$`)

// Release returns the environment and the beginning of the commit's hash that a tag of the pipeline
// is made of, such as dev and abc1234. ok is false for every other tag.
func Release(tag string) (environment, commit string, ok bool) {
	parts := tagPattern.FindStringSubmatch(tag)
	if parts == nil {
		return "", "", false
	}
	return parts[1], parts[2], true
}

// Parse reads the image from the content of a kustomization.yaml.
func Parse(content []byte) (Image, error) {
	var file struct {
		Images []struct {
			Name, NewName, NewTag, Digest string
		}
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		return Image{}, fmt.Errorf("read a kustomization.yaml: %w", err)
	}
	for _, image := range file.Images {
		if image.Name != imageName {
			continue
		}
		if image.NewTag == "" {
			return Image{}, fmt.Errorf("the image %s is set by its digest alone, which does not name its commit; set a tag too", imageName)
		}
		return Image{Repository: image.NewName, Tag: image.NewTag, Digest: image.Digest}, nil
	}
	return Image{}, fmt.Errorf("the image %s is not among its images; add it", imageName)
}
