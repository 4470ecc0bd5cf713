package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/heraldpush/herald/provider/account"
)

// version is that of the API, in its paths and in the document.
const version = "1"

// newDocument returns the OpenAPI 3.1 document of a table. The error is a mistake in
// the table or its types.
func newDocument(table []operation) ([]byte, error) {
	d := documenter{schemas{map[string]schema{}, map[string]reflect.Type{}}}
	paths, groups := schema{}, []schema{}
	for n := range table {
		op := &table[n]
		if op.isHidden {
			continue
		}
		item, err := d.operation(op)
		if err != nil {
			return nil, fmt.Errorf("API: operation %s: %w", op.id, err)
		}
		at, ok := paths[op.path].(schema)
		if !ok {
			at = schema{}
			paths[op.path] = at
		}
		at[strings.ToLower(op.method)] = item
		if !slices.ContainsFunc(groups, func(g schema) bool { return g["name"] == op.group }) {
			groups = append(groups, schema{"name": op.group})
		}
	}
	problem, err := d.of(reflect.TypeFor[Problem]())
	if err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(schema{
		"openapi":           "3.1.0",
		"jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
		"info": schema{
			"title": "Herald provider", "version": version,
			"description": "Registers the installations of apps and sends them notifications.\n\n" +
				"Every answer has a Request-Id. What is refused is answered with a problem (RFC 9457), whose code is for programs. " +
				"Lists come in pages, with a link to the next.",
		},
		"servers":  []schema{{"url": "/"}},
		"tags":     groups,
		"paths":    paths,
		"security": []schema{{"api_key": []string{}}},
		"components": schema{
			"schemas": d.components,
			"responses": schema{"Problem": schema{
				"description": "It was refused; nothing was done.",
				"headers":     headers(requestIDHeader),
				"content":     schema{mediaProblem: schema{"schema": problem}},
			}},
			"securitySchemes": schema{"api_key": schema{
				"type": "http", "scheme": "bearer", "description": "An API key: sk_… with scopes, or pk_… to register installations.",
			}},
		},
	}, "", "  ")
	return append(b, '\n'), err
}

type documenter struct{ schemas }

func (d *documenter) operation(op *operation) (schema, error) {
	item := schema{"operationId": op.id, "tags": []string{op.group}, "summary": op.summary}
	if about := strings.TrimSpace(op.about + "\n\n" + scopeAbout(op.scope)); about != "" {
		item["description"] = about
	}
	if op.scope == "" {
		item["security"] = []schema{}
	}
	if all := op.parameters(); len(all) > 0 {
		item["parameters"] = all
	}
	if len(op.in.contents) > 0 {
		contents, err := d.contents(op.in.contents, true)
		if err != nil {
			return nil, err
		}
		item["requestBody"] = schema{"required": !op.in.optional, "content": contents}
	}
	responses := schema{}
	for _, o := range op.out {
		response, err := d.response(o)
		if err != nil {
			return nil, err
		}
		responses[strconv.Itoa(o.status)] = response
	}
	refusal := schema{"$ref": "#/components/responses/Problem"}
	if op.refusal != nil {
		var err error
		if refusal, err = d.response(*op.refusal); err != nil {
			return nil, err
		}
	}
	responses["4XX"], responses["5XX"] = refusal, refusal
	item["responses"] = responses
	return item, nil
}

// scopeAbout says what an API key must be for.
func scopeAbout(s account.Scope) string {
	switch s {
	case "":
		return ""
	case account.ScopeRegister:
		return "Takes a publishable key, or one with the scope `devices`."
	default:
		return "Takes a key with the scope `" + string(s) + "`."
	}
}

func (d *documenter) response(o outcome) (schema, error) {
	response := schema{"description": o.about, "headers": headers(append(slices.Clone(o.header), requestIDHeader)...)}
	if o.content.media == "" {
		return response, nil
	}
	all := []content{o.content}
	if o.also.media != "" {
		all = append(all, o.also)
	}
	contents, err := d.contents(all, false)
	response["content"] = contents
	return response, err
}

func (d *documenter) contents(all []content, isRequest bool) (schema, error) {
	contents := schema{}
	for _, c := range all {
		s := c.form
		if c.holds != nil {
			var err error
			if s, err = d.of(c.holds); err != nil {
				return nil, err
			}
			switch {
			case c.isPatch:
				s = d.patchOf(s)
			case isRequest:
				d.closed(s)
			}
		}
		if s == nil {
			return nil, errors.New("a content of no form")
		}
		contents[c.media] = schema{"schema": s}
	}
	return contents, nil
}

// patchOf returns the schema of a merge patch of what another is of: where that is an
// object, each of its members or null, and nothing is required.
func (d *documenter) patchOf(s schema) schema {
	if ref, ok := s["$ref"].(string); ok {
		s = d.components[strings.TrimPrefix(ref, "#/components/schemas/")]
	}
	orNull := func(of schema) schema { return schema{"anyOf": []any{d.patchOf(of), schema{"type": "null"}}} }
	patch := maps.Clone(s)
	if members, ok := s["properties"].(schema); ok {
		delete(patch, "required")
		properties := schema{}
		for name, of := range members {
			if of, ok := of.(schema); ok {
				properties[name] = orNull(of)
			}
		}
		patch["properties"], patch["additionalProperties"] = properties, false
	} else if values, ok := s["additionalProperties"].(schema); ok {
		patch["additionalProperties"] = orNull(values)
	}
	return patch
}

// parameters returns all parameters of an operation.
func (op *operation) parameters() (all []schema) {
	for _, name := range op.pathNames() {
		p := pathParameters[name]
		all = append(all, p.schema("path", true))
	}
	for _, p := range op.query {
		all = append(all, p.schema("query", p.required))
	}
	for _, p := range op.header {
		all = append(all, p.schema("header", p.required))
	}
	return all
}

func (p parameter) schema(in string, required bool) schema {
	s := schema{"name": p.name, "in": in, "schema": p.form}
	if p.about != "" {
		s["description"] = p.about
	}
	if required {
		s["required"] = true
	}
	return s
}

// headers returns those of an answer.
func headers(all ...parameter) schema {
	h := schema{}
	for _, p := range all {
		s := schema{"schema": p.form, "description": p.about}
		if p.required {
			s["required"] = true
		}
		h[p.name] = s
	}
	return h
}

var requestIDHeader = parameter{
	name: "Request-Id", about: "What this request is called, also in the log.", required: true,
	form: schema{"type": "string", "pattern": "^req_[a-z2-7]{20}$"},
}

// openAPIOperation is the document itself.
func openAPIOperation() operation {
	return operation{
		id: "getOpenAPI", method: http.MethodGet, path: "/openapi.json", group: "about",
		summary: "This document",
		out:     []outcome{{status: http.StatusOK, about: "The OpenAPI 3.1 document.", content: content{media: mediaJSON, form: schema{"type": "object"}}}},
		run: func(a *API, _ context.Context, _ *request) (answer, error) {
			return answer{status: http.StatusOK, body: a.document, media: mediaJSON}, nil
		},
	}
}
