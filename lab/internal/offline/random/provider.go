// Package random serves the resource type RandomPassword of the Pulumi package random 4.19.0, whose
// plugin is not available where the lab runs. Passwords are real: they come from the operating
// system's random source. A password is only in the engine's state, encrypted there; this package
// keeps no copy, writes no file and logs nothing.
package random

import (
	"context"
	"fmt"
	"maps"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gridos/sharedinfra/internal/versions"
	"github.com/gridos/sharedinfra/lab/internal/providers"
)

const (
	// token is the only resource type that is served.
	token = "random:index/randomPassword:RandomPassword"
	// passwordID is the id of every RandomPassword. The password itself must not be the id, because
	// ids are not encrypted.
	passwordID = "none"
	// bcryptLimit is how many bytes bcrypt uses; the plugin cuts longer passwords too.
	bcryptLimit = 72
)

// New returns a provider for the Pulumi package random. It holds no state.
func New() pulumirpc.ResourceProviderServer {
	return &provider{Base: providers.Base{Package: "random", Version: versions.Random}}
}

type provider struct {
	providers.Base
}

// defaults are the inputs of a RandomPassword with their default values; they also give the type of
// each input. overrideSpecial and keepers have no default.
func defaults() resource.PropertyMap {
	yes, zero := resource.NewProperty(true), resource.NewProperty(0.0)
	return resource.PropertyMap{
		"lower": yes, "upper": yes, "numeric": yes, "number": yes, "special": yes,
		"minLower": zero, "minUpper": zero, "minNumeric": zero, "minSpecial": zero,
	}
}

// Check refuses unknown types, unknown inputs and passwords that cannot be made, with one failure
// per mistake.
func (p *provider) Check(_ context.Context, request *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	if err := known(providers.Token(request)); err != nil {
		return nil, err
	}
	inputs, err := providers.Unmarshal(request.GetNews())
	if err != nil {
		return nil, err
	}
	var failures []*pulumirpc.CheckFailure
	fail := func(property, reason string, arguments ...any) {
		failures = append(failures, &pulumirpc.CheckFailure{Property: property, Reason: fmt.Sprintf(reason, arguments...)})
	}

	values, allKnown := providers.RevealAll(inputs), true
	for _, key := range values.StableKeys() {
		value := values[key]
		if value.ContainsUnknowns() {
			allKnown = false
			continue
		}
		if key == "keepers" {
			checkKeepers(value, fail)
			continue
		}
		if wanted := typeOf(key); wanted == "" {
			fail(string(key), "RandomPassword has no input %q; see the inputs of pulumi-random %s", key, versions.Random)
		} else if value.TypeString() != wanted {
			fail(string(key), "%s is a %s; it must be a %s", key, value.TypeString(), wanted)
		}
	}
	if _, ok := inputs["length"]; !ok {
		fail("length", "length is missing; set the number of characters")
	}
	numeric, number := values["numeric"], values["number"]
	if numeric.IsBool() && number.IsBool() && numeric.BoolValue() != number.BoolValue() {
		fail("number", "number and numeric differ, but are two names of one input; set numeric only")
	}
	if allKnown && len(failures) == 0 {
		if err := passwordOf(values).validate(); err != nil {
			fail("length", "%v", err)
		}
	}
	news, err := providers.Marshal(inputs)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.CheckResponse{Inputs: news, Failures: failures}, nil
}

// typeOf returns the type of an input other than keepers, as PropertyValue.TypeString spells it, or
// "" if there is no such input.
func typeOf(key resource.PropertyKey) string {
	switch key {
	case "length":
		return "number"
	case "overrideSpecial":
		return "string"
	default:
		if value, ok := defaults()[key]; ok {
			return value.TypeString()
		}
		return ""
	}
}

func checkKeepers(value resource.PropertyValue, fail func(property, reason string, arguments ...any)) {
	if !value.IsObject() {
		fail("keepers", "keepers is a %s; it must be an object of strings", value.TypeString())
		return
	}
	for key, keeper := range value.ObjectValue() {
		if !keeper.IsString() {
			fail("keepers."+string(key), "keepers.%s is a %s; it must be a string", key, keeper.TypeString())
		}
	}
}

// Diff reports a replacement for any changed input: a password cannot be changed in place.
func (p *provider) Diff(_ context.Context, request *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	if err := known(providers.Token(request)); err != nil {
		return nil, err
	}
	before, err := providers.Unmarshal(request.GetOldInputs())
	if err != nil {
		return nil, err
	}
	after, err := providers.Unmarshal(request.GetNews())
	if err != nil {
		return nil, err
	}
	// The new password may exist beside the old one, so that its users can be updated before the
	// old one is deleted.
	return providers.Diff(before, after, func(resource.PropertyPath) bool { return true }, false)
}

// Create makes a password. In a preview the result and its hash are left out, which makes them
// unknown.
func (p *provider) Create(_ context.Context, request *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	if err := known(providers.Token(request)); err != nil {
		return nil, err
	}
	inputs, err := providers.Unmarshal(request.GetProperties())
	if err != nil {
		return nil, err
	}
	outputs := defaults()
	maps.Copy(outputs, inputs)
	agreeOnNumeric(outputs, inputs)
	if request.GetPreview() {
		properties, err := providers.Marshal(outputs)
		return &pulumirpc.CreateResponse{Properties: properties}, err
	}

	values := providers.RevealAll(inputs)
	if resource.NewProperty(values).ContainsUnknowns() {
		return nil, status.Error(codes.InvalidArgument, "RandomPassword cannot be created while some of its inputs are unknown")
	}
	wanted := passwordOf(values)
	if err := wanted.validate(); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "RandomPassword cannot be created: %v", err)
	}
	result, err := wanted.generate()
	if err != nil {
		return nil, err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(result)[:min(len(result), bcryptLimit)], bcrypt.DefaultCost)
	if err != nil {
		return nil, fmt.Errorf("hash of the new password cannot be computed: %w", err)
	}
	outputs["result"] = resource.MakeSecret(resource.NewProperty(result))
	outputs["bcryptHash"] = resource.MakeSecret(resource.NewProperty(string(hash)))
	properties, err := providers.Marshal(outputs)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.CreateResponse{Id: passwordID, Properties: properties}, nil
}

// Read returns the engine's own values: only the engine's state has the password.
func (p *provider) Read(_ context.Context, request *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	if err := known(providers.Token(request)); err != nil {
		return nil, err
	}
	if len(request.GetProperties().GetFields()) == 0 {
		return nil, status.Error(codes.Unimplemented,
			"RandomPassword cannot be imported: the password is nowhere but in the engine's state")
	}
	return &pulumirpc.ReadResponse{
		Id: request.GetId(), Properties: request.GetProperties(), Inputs: request.GetInputs(),
	}, nil
}

// Delete does nothing: the engine drops the password.
func (p *provider) Delete(_ context.Context, request *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	if err := known(providers.Token(request)); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

func known(tok string) error {
	if tok != token {
		return status.Errorf(codes.Unimplemented,
			"the random package of the lab has no resource type %q; it serves %s only", tok, token)
	}
	return nil
}

// agreeOnNumeric gives number the value of numeric, or the other way round if only number is set:
// they are two names of one input.
func agreeOnNumeric(outputs, inputs resource.PropertyMap) {
	if _, ok := inputs["numeric"]; ok {
		outputs["number"] = outputs["numeric"]
	} else {
		outputs["numeric"] = outputs["number"]
	}
}

// passwordOf reads inputs that Check has accepted and that hold neither secrets nor unknown values.
func passwordOf(inputs resource.PropertyMap) password {
	values := defaults()
	maps.Copy(values, inputs)
	agreeOnNumeric(values, inputs)
	flag := func(key resource.PropertyKey) bool { return values[key].IsBool() && values[key].BoolValue() }
	count := func(key resource.PropertyKey) int {
		if !values[key].IsNumber() {
			return 0
		}
		return int(values[key].NumberValue())
	}
	special := specialCharacters
	if override := values["overrideSpecial"]; override.IsString() {
		special = override.StringValue()
	}
	return password{length: count("length"), classes: []characterClass{
		{"lower-case", lowerCharacters, count("minLower"), flag("lower")},
		{"upper-case", upperCharacters, count("minUpper"), flag("upper")},
		{"numeric", numericCharacters, count("minNumeric"), flag("numeric")},
		{"special", special, count("minSpecial"), flag("special")},
	}}
}
