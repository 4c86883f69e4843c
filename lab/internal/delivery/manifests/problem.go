package manifests

import (
	"errors"
	"fmt"
	"strings"
)

// Problem is a mistake in a manifest.
type Problem struct {
	// File is the file with the mistake, relative to the folder of the application.
	File string
	// Object is the kind and the name.
	Object string
	// Field is the path of the field, such as spec.strategy.canary.stableService.
	Field string
	// Why says what is wrong, and how to correct it.
	Why string
}

func (p Problem) Error() string {
	return fmt.Sprintf("%s: %s: %s %s", p.File, p.Object, p.Field, p.Why)
}

// template is the path of the pods' part in a Rollout, and templateFile the file with it
// (kustomization.yaml copies it).
const (
	template     = "spec.template"
	templateFile = "base/deployment.yaml"
)

// report collects problems of an overlay.
type report struct{ problems []error }

// add records that a field of an object is wrong.
func (r *report) add(o Object, field, format string, args ...any) {
	file := o.File
	if o.GetKind() == rollout && strings.HasPrefix(field, template) {
		file = templateFile
	}
	r.problems = append(r.problems, Problem{File: file, Object: o.name(), Field: field, Why: fmt.Sprintf(format, args...)})
}

func (r *report) err() error { return errors.Join(r.problems...) }
