"""The facts of a document: everything that a program reads of it, nothing that a person reads."""

from __future__ import annotations

from typing import Any

import pytest

from spotify_ads_async.api.facts import known_facts, parse_document, render_facts, take_facts

DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Boxes", "version": "1", "description": "All about boxes."},
    "tags": [{"name": "boxes", "description": "Boxes."}],
    "servers": [{"url": "https://example.com", "description": "The server."}],
    "paths": {
        "/boxes/{id}": {
            "parameters": [
                {"name": "id", "in": "path", "required": True, "description": "Which.", "schema": {"type": "string"}}
            ],
            "get": {
                "operationId": "getBox",
                "summary": "Read a box.",
                "tags": ["boxes"],
                "parameters": [
                    {"$ref": "#/components/parameters/size_of_box"},
                    {"name": "age", "in": "query", "schema": {"type": "integer"}},
                ],
                "responses": {
                    404: {"description": "No such box."},
                    "200": {
                        "description": "A box.",
                        "content": {
                            "application/json": {
                                "schema": {"$ref": "#/components/schemas/Box"},
                                "example": {"name": "x"},
                            }
                        },
                    },
                },
            },
        }
    },
    "components": {
        "parameters": {
            "size_of_box": {"name": "size", "in": "query", "schema": {"type": "integer", "maximum": 9, "example": 3}}
        },
        "schemas": {
            "Colour": {
                "type": "string",
                "enum": ["RED", "BLUE"],
                "x-spotify-enum-descriptions": {"RED": "Like blood."},
            },
            "Box": {
                "type": "object",
                "title": "A box",
                "required": ["name", "description"],
                "properties": {
                    "name": {"type": "string", "description": "Its name.", "example": "x", "minLength": 2},
                    "description": {"type": "string"},
                    "colours": {"type": "array", "items": {"$ref": "#/components/schemas/Colour"}},
                },
            },
        },
    },
}


def test_sentences_go_and_facts_stay() -> None:
    facts = take_facts(DOCUMENT)
    assert facts["info"] == {"title": "Boxes", "version": "1"}
    assert facts["servers"] == [{"url": "https://example.com"}]
    assert facts["paths"]["/boxes/{id}"] == {
        "get": {
            "operationId": "getBox",
            "tags": ["boxes"],
            "parameters": [
                {"in": "query", "name": "age", "schema": {"type": "integer"}},
                {"in": "path", "name": "id", "required": True, "schema": {"type": "string"}},
                {"$ref": "#/components/parameters/size_of_box"},
            ],
            "responses": {
                "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Box"}}}},
                "404": {},
            },
        }
    }
    assert facts["components"]["schemas"] == {
        "Box": {
            "properties": {
                "name": {"minLength": 2, "type": "string"},
                "description": {"type": "string"},
                "colours": {"items": {"$ref": "#/components/schemas/Colour"}, "type": "array"},
            },
            "required": ["description", "name"],
            "type": "object",
        },
        "Colour": {"enum": ["RED", "BLUE"], "type": "string"},
    }


def test_each_fact_has_a_line_and_taking_facts_of_facts_changes_nothing() -> None:
    text = render_facts(take_facts(DOCUMENT))
    for line in ('     "name": {"minLength": 2, "type": "string"},', '     "RED",', '     "description",'):
        assert line in text.splitlines()
    assert render_facts(parse_document(text)) == text


def test_the_package_holds_facts_laid_out_in_this_way() -> None:
    assert render_facts(take_facts(known_facts())) == render_facts(known_facts())


def test_yaml_means_text_where_it_looks_like_a_date_or_a_switch() -> None:
    text = """
openapi: 3.0.3
info: {title: Switches, version: 1}
paths: {}
components: {schemas: {Switch: {type: string, enum: [ON, OFF, NO, 2023-09-23T04:56:07Z, null]}, Age: {type: integer,
minimum: 3, nullable: true}}}
"""
    schemas = parse_document(text)["components"]["schemas"]
    assert schemas["Switch"]["enum"] == ["ON", "OFF", "NO", "2023-09-23T04:56:07Z", None]
    assert schemas["Age"] == {"minimum": 3, "nullable": True, "type": "integer"}


@pytest.mark.parametrize(
    "text",
    [
        *("", "just text", "[1, 2]", "{", "a: b: c", "openapi: 3.0.3\npaths: {}", "<html></html>"),
        "openapi: 3.0.3\npaths: {}\ncomponents: {schemas: {One: {enum: abc}}}",
        "openapi: 3.0.3\npaths: {}\ncomponents: {schemas: {One: {required: name}}}",
    ],
)
def test_what_is_no_document_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an OpenAPI 3.0 document|neither YAML nor JSON"):
        parse_document(text)


def test_what_has_another_form_is_named_with_its_place() -> None:
    text = "openapi: 3.1.0\npaths: {}\ncomponents: {schemas: {One: {type: [string, 'null']}}}"
    with pytest.raises(ValueError, match=r"document: One: \['string', 'null'\] stands where a text should"):
        parse_document(text)


ALIASES = "a0: &a0 [x, x]\n" + "".join(f"a{at}: &a{at} [*a{at - 1}, *a{at - 1}]\n" for at in range(1, 60))


@pytest.mark.parametrize(
    "text",
    [
        ALIASES,
        "openapi: 3.0.3\npaths: {}\ncomponents: {schemas: {Tree: &tree {properties: {tree: *tree}}}}",
        '{"a":' * 20_000 + "1" + "}" * 20_000,
        "[" * 500 + "]" * 500,
        "[" * 100_000,
    ],
    ids=["aliases", "holds itself", "deep JSON", "deep YAML", "YAML deeper than the stack"],
)
def test_a_document_without_end_is_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match=r"more than 1000000 parts|maximum recursion depth"):
        parse_document(text)


OPERATION = {"operationId": "getOne", "responses": {"200": {"description": "One."}}}


def test_references_to_shared_paths_and_parameters_are_followed_to_their_end() -> None:
    q = {"in": "query", "name": "q", "schema": {"type": "string"}}
    parameters = {"one": {"$ref": "#/components/parameters/two"}, "two": q}
    item = {"get": {**OPERATION, "parameters": [{"$ref": "#/components/parameters/one"}]}}
    components = {"parameters": parameters, "pathItems": {"one": item}, "schemas": {}}
    document = {"openapi": "3.0.3", "paths": {"/one": {"$ref": "#/components/pathItems/one"}}, "components": components}
    facts = take_facts(document)
    assert facts["components"]["parameters"]["one"] == q
    assert facts["paths"]["/one"]["get"]["operationId"] == "getOne"
    components["parameters"] = {"one": {"$ref": "#/components/parameters/one"}}
    with pytest.raises(ValueError, match="references without end"):
        take_facts(document)


def test_two_operations_of_one_name_are_refused() -> None:
    paths = {"/one": {"get": OPERATION}, "/two": {"get": OPERATION}}
    with pytest.raises(ValueError, match="several operations are called getOne"):
        take_facts({"openapi": "3.0.3", "paths": paths, "components": {"schemas": {}}})
