package arm

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Violation is one reason for which Azure refuses a request.
type Violation struct {
	// Rule is the id of the rule in docs/azure-rules.md, or "" for what ARM itself enforces.
	Rule string
	// Code is the error code of Azure's answer, such as ParentResourceNotFound.
	Code string
	// Property is the path of the wrong input, if there is one.
	Property string
	// Message names the resource, says what is wrong and, where there is one, the remedy.
	Message string
}

// String renders the violation as Azure's command line renders an error.
func (v Violation) String() string {
	text := fmt.Sprintf("Code=%q Message=%q", v.Code, v.Message)
	if v.Property != "" {
		text += " Target=" + v.Property
	}
	if v.Rule != "" {
		text += " (rule " + v.Rule + ")"
	}
	return text
}

// refusal is Azure's answer to a request that it did not carry out: every reason, each on a line of
// its own.
func refusal(verb Operation, kind, id string, violations []Violation) error {
	lines := make([]string, 0, len(violations))
	for _, v := range violations {
		if line := v.String(); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return status.Errorf(codes.FailedPrecondition, "%s of %s %q was refused:\n%s", verb, kind, id, strings.Join(lines, "\n"))
}
