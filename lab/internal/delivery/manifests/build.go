package manifests

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	sigsyaml "sigs.k8s.io/yaml"
)

// Object is one object of an overlay.
type Object struct {
	*unstructured.Unstructured
	// File is the file that the object was read from, relative to the folder of the application, such
	// as base/rollout.yaml.
	File string
}

// name returns the object's name in messages.
func (o Object) name() string { return o.GetKind() + " " + o.GetName() }

// Build renders the overlay in dir, applications/<name>/overlays/<environment>, with the given
// Kustomize binary and no flags, as Argo CD does. The error is Kustomize's own, which names the
// file.
func Build(ctx context.Context, kustomize, dir string) (objects []Object, err error) {
	// A kustomization around the overlay asks for the annotations that say where an object is from.
	// In the overlay's own kustomization they would get into the cluster.
	around, err := os.MkdirTemp("", "gridos-manifests-*")
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(around)) }()
	real, realErr := filepath.EvalSymlinks(dir)
	around, err = filepath.EvalSymlinks(around)
	if err := errors.Join(realErr, err); err != nil {
		return nil, fmt.Errorf("render %s: %w", dir, err)
	}
	overlay, err := relative(around, real) // Kustomize takes no absolute path
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", dir, err)
	}
	text, err := sigsyaml.Marshal(map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
		"resources": []string{filepath.ToSlash(overlay)}, "buildMetadata": []string{"originAnnotations"},
	})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(around, "kustomization.yaml"), text, 0o600); err != nil {
		return nil, fmt.Errorf("render %s: %w", dir, err)
	}
	rendered, err := run(ctx, kustomize, "build", around)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", dir, err)
	}
	application, err := relative(around, filepath.Dir(filepath.Dir(real)))
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", dir, err)
	}
	return decode(rendered, filepath.ToSlash(application)+"/")
}

// relative returns the path of one folder relative to another.
func relative(from, to string) (string, error) {
	from, err := filepath.Abs(from)
	if err != nil {
		return "", err
	}
	if to, err = filepath.Abs(to); err != nil {
		return "", err
	}
	return filepath.Rel(from, to)
}

// run returns the output of a program; its error is the program's own message.
func run(ctx context.Context, program string, args ...string) ([]byte, error) {
	var out, problems bytes.Buffer
	command := exec.CommandContext(ctx, program, args...)
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", filepath.Base(program), args[0], err, strings.TrimSpace(problems.String()))
	}
	return out.Bytes(), nil
}

const originAnnotation = "config.kubernetes.io/origin"

// decode reads Kustomize's output. Files are named relative to their folder.
func decode(rendered []byte, folder string) ([]Object, error) {
	var objects []Object
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(rendered)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		object := &unstructured.Unstructured{}
		if err := sigsyaml.Unmarshal(document, &object.Object); err != nil {
			return nil, err
		}
		file, err := takeOrigin(object)
		if err != nil {
			return nil, err
		}
		objects = append(objects, Object{Unstructured: object, File: strings.TrimPrefix(file, folder)})
	}
}

// takeOrigin returns the object's source file, and removes the annotation that names it.
func takeOrigin(object *unstructured.Unstructured) (string, error) {
	annotations := object.GetAnnotations()
	var origin struct {
		Path         string `json:"path"`
		ConfiguredIn string `json:"configuredIn"`
	}
	if err := sigsyaml.Unmarshal([]byte(annotations[originAnnotation]), &origin); err != nil {
		return "", fmt.Errorf("%s %s: the origin that Kustomize noted: %w", object.GetKind(), object.GetName(), err)
	}
	delete(annotations, originAnnotation)
	if len(annotations) == 0 {
		annotations = nil
	}
	object.SetAnnotations(annotations)
	file := origin.Path
	if file == "" {
		file = origin.ConfiguredIn // made by a generator
	}
	return file, nil
}
