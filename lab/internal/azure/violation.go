package azure

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// violation is one reason for which Azure refuses a request.
type violation struct {
	// rule is the id of the rule in docs/azure-rules.md, or "" for what ARM itself enforces.
	rule string
	// code is the error code of Azure's answer, such as ParentResourceNotFound.
	code string
	// property is the path of the input that is to blame, if one is.
	property string
	// message names the resource, says what is wrong and, where there is one, the remedy.
	message string
}

// String renders the violation as Azure's command line renders an error.
func (v violation) String() string {
	text := fmt.Sprintf("Code=%q Message=%q", v.code, v.message)
	if v.property != "" {
		text += " Target=" + v.property
	}
	if v.rule != "" {
		text += " (rule " + v.rule + ")"
	}
	return text
}

// refusal is Azure's answer to a request that it did not carry out: every reason, each on a line of its own.
func refusal(verb Operation, kind, id string, violations []violation) error {
	lines := make([]string, 0, len(violations))
	for _, v := range violations {
		if line := v.String(); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return status.Errorf(codes.FailedPrecondition, "%s of %s %q was refused:\n%s", verb, kind, id, strings.Join(lines, "\n"))
}
