package checks

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"
)

// surroundings are what an expression sees: the contexts by name, and what the status functions
// answer.
type surroundings struct {
	contexts                    map[string]any
	success, failure, cancelled bool
}

// condition says whether a job or a step with this condition runs. Without one, and with one that
// asks no status function, GitHub puts success() before it (docs.github.com, "Evaluate expressions
// in workflows and actions", status check functions). A text with braces in its middle is a text,
// which is true unless it is empty.
func condition(text string, s surroundings) (bool, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return s.success, nil
	}
	if strings.Contains(text, "${{") && !whole(text) {
		value, err := interpolated(text, s)
		return s.success && value != "", err
	}
	node, err := parsed(strings.TrimSuffix(strings.TrimPrefix(text, "${{"), "}}"))
	if err != nil {
		return false, err
	}
	value, err := s.value(node)
	return truth(value) && (s.success || asksStatus(node)), err
}

// whole reports whether a text is one expression in braces.
func whole(text string) bool {
	return strings.HasPrefix(text, "${{") && strings.Index(text, "}}") == len(text)-len("}}")
}

// interpolated returns a text with the values of the expressions in it.
func interpolated(text string, s surroundings) (string, error) {
	var all strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${{")
		all.WriteString(before)
		if !found {
			return all.String(), nil
		}
		inner, after, closed := strings.Cut(rest, "}}")
		if !closed {
			return "", fmt.Errorf("${{%s is not closed; add }}", rest)
		}
		node, err := parsed(inner)
		if err != nil {
			return "", err
		}
		value, err := s.value(node)
		if err != nil {
			return "", err
		}
		all.WriteString(written(value))
		text = after
	}
}

func parsed(expression string) (actionlint.ExprNode, error) {
	node, err := actionlint.NewExprParser().Parse(actionlint.NewExprLexer(expression + "}}"))
	if err != nil {
		return nil, fmt.Errorf("%q is no expression: %w", strings.TrimSpace(expression), err)
	}
	return node, nil
}

// asksStatus reports whether an expression asks one of the status functions, which keeps GitHub
// from asking success() itself.
func asksStatus(node actionlint.ExprNode) bool {
	asks := false
	actionlint.VisitExprNode(node, func(n, _ actionlint.ExprNode, _ bool) {
		if call, ok := n.(*actionlint.FuncCallNode); ok {
			switch strings.ToLower(call.Callee) {
			case "success", "failure", "cancelled", "always":
				asks = true
			}
		}
	})
	return asks
}

// value evaluates an expression. What a context does not have is null, as GitHub takes it.
func (s surroundings) value(node actionlint.ExprNode) (any, error) {
	switch n := node.(type) {
	case *actionlint.NullNode:
		return nil, nil
	case *actionlint.BoolNode:
		return n.Value, nil
	case *actionlint.IntNode:
		return float64(n.Value), nil
	case *actionlint.FloatNode:
		return n.Value, nil
	case *actionlint.StringNode:
		return n.Value, nil
	case *actionlint.VariableNode:
		return member(s.contexts, n.Name), nil
	case *actionlint.ObjectDerefNode:
		of, err := s.value(n.Receiver)
		if many, ok := of.(each); ok {
			var found each
			for _, one := range many {
				found = append(found, member(one, n.Property))
			}
			return found, err
		}
		return member(of, n.Property), err
	case *actionlint.ArrayDerefNode:
		of, err := s.value(n.Receiver)
		return elements(of), err
	case *actionlint.IndexAccessNode:
		return s.index(n)
	case *actionlint.NotOpNode:
		of, err := s.value(n.Operand)
		return !truth(of), err
	case *actionlint.LogicalOpNode:
		left, err := s.value(n.Left)
		if err != nil || truth(left) != (n.Kind == actionlint.LogicalOpNodeKindAnd) {
			return left, err
		}
		return s.value(n.Right)
	case *actionlint.CompareOpNode:
		return s.compare(n)
	case *actionlint.FuncCallNode:
		return s.call(n)
	default:
		return nil, fmt.Errorf("an expression has a %T, which this program does not know; add it to pipeline/internal/checks", node)
	}
}

// each are the elements that an asterisk chooses: what follows it is asked of each.
type each []any

func elements(of any) each {
	switch of := of.(type) {
	case each:
		return of
	case []any:
		return of
	case map[string]any:
		var all each
		for _, value := range of {
			all = append(all, value)
		}
		return all
	default:
		return nil
	}
}

func member(of any, name string) any {
	object, _ := of.(map[string]any)
	for key, value := range object {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return nil
}

func (s surroundings) index(n *actionlint.IndexAccessNode) (any, error) {
	of, err := s.value(n.Operand)
	if err != nil {
		return nil, err
	}
	at, err := s.value(n.Index)
	if list, ok := of.([]any); ok {
		i := number(at)
		if i >= 0 && i < float64(len(list)) {
			return list[int(i)], err
		}
		return nil, err
	}
	return member(of, written(at)), err
}

// compare compares as GitHub does: texts without regard to case, and values of different types as
// numbers.
func (s surroundings) compare(n *actionlint.CompareOpNode) (any, error) {
	left, err := s.value(n.Left)
	if err != nil {
		return nil, err
	}
	right, err := s.value(n.Right)
	if err != nil {
		return nil, err
	}
	l, lText := left.(string)
	r, rText := right.(string)
	order := 0
	switch a, b := number(left), number(right); {
	case lText && rText:
		order = strings.Compare(strings.ToLower(l), strings.ToLower(r))
	case math.IsNaN(a) || math.IsNaN(b):
		return n.Kind == actionlint.CompareOpNodeKindNotEq, nil
	case a < b:
		order = -1
	case a > b:
		order = 1
	}
	switch n.Kind {
	case actionlint.CompareOpNodeKindEq:
		return order == 0, nil
	case actionlint.CompareOpNodeKindNotEq:
		return order != 0, nil
	case actionlint.CompareOpNodeKindLess:
		return order < 0, nil
	case actionlint.CompareOpNodeKindLessEq:
		return order <= 0, nil
	case actionlint.CompareOpNodeKindGreater:
		return order > 0, nil
	default:
		return order >= 0, nil
	}
}

func (s surroundings) call(n *actionlint.FuncCallNode) (any, error) {
	arguments := make([]any, len(n.Args))
	texts := make([]string, len(n.Args)+1) // one more: join has an argument that may be left out
	for i, argument := range n.Args {
		value, err := s.value(argument)
		if err != nil {
			return nil, err
		}
		arguments[i], texts[i] = value, strings.ToLower(written(value))
	}
	name := strings.ToLower(n.Callee)
	if len(arguments) == 0 && !asksStatus(n) {
		return nil, fmt.Errorf("%s() needs an argument", n.Callee)
	}
	switch name {
	case "always":
		return true, nil
	case "success":
		return s.success, nil
	case "failure":
		return s.failure, nil
	case "cancelled":
		return s.cancelled, nil
	case "contains":
		if list := elements(arguments[0]); list != nil {
			for _, one := range list {
				if strings.EqualFold(written(one), texts[1]) {
					return true, nil
				}
			}
			return false, nil
		}
		return strings.Contains(texts[0], texts[1]), nil
	case "startswith":
		return strings.HasPrefix(texts[0], texts[1]), nil
	case "endswith":
		return strings.HasSuffix(texts[0], texts[1]), nil
	case "join":
		var all []string
		for _, one := range elements(arguments[0]) {
			all = append(all, written(one))
		}
		between := ","
		if len(arguments) > 1 {
			between = written(arguments[1])
		}
		return strings.Join(all, between), nil
	case "format":
		text := written(arguments[0])
		for i, argument := range arguments[1:] {
			text = strings.ReplaceAll(text, "{"+strconv.Itoa(i)+"}", written(argument))
		}
		return text, nil
	case "tojson":
		text, err := json.Marshal(arguments[0])
		return string(text), err
	case "fromjson":
		var value any
		err := json.Unmarshal([]byte(written(arguments[0])), &value)
		return value, err
	case "hashfiles":
		return "0", nil
	default:
		return nil, fmt.Errorf("the function %s is not known to this program; add it to pipeline/internal/checks", n.Callee)
	}
}

func truth(value any) bool {
	switch v := value.(type) {
	case nil:
		return false
	case bool:
		return v
	case float64:
		return v != 0 && !math.IsNaN(v)
	case string:
		return v != ""
	default:
		return true
	}
}

func number(value any) float64 {
	switch v := value.(type) {
	case nil:
		return 0
	case bool:
		if v {
			return 1
		}
		return 0
	case float64:
		return v
	case string:
		if strings.TrimSpace(v) == "" {
			return 0
		}
		if n, err := strconv.ParseFloat(v, 64); err == nil {
			return n
		}
	}
	return math.NaN()
}

func written(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'G', 15, 64) // as actions/runner, ExpressionConstants.NumberFormat
	case string:
		return v
	case []any, each:
		return "Array"
	default:
		return "Object"
	}
}
