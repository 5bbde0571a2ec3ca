"""What the commands print with `--json`, but for `optimize`, which prints `report.json`: public, with a schema.

`docs/output.schema.json` is made of these models, which stand in `of_suites.py`, `of_evaluations.py` and
`of_shards.py`. Rates are in [0, 1]; None where nothing was measured.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from skillgrad_ci.report.comparison import SettingsCompared
from skillgrad_ci.report.document import Report
from skillgrad_ci.report.provenance.blame import BlameDocument
from skillgrad_ci.session.json_documents.of_evaluations import ComparisonDocument, EvaluationDocument
from skillgrad_ci.session.json_documents.of_shards import MergeDocument, PlanDocument, ShardDocument
from skillgrad_ci.session.json_documents.of_suites import (
    AgreementDocument,
    GradeDocument,
    GrowthDocument,
    SuiteDocument,
    TriggersDocument,
)

DOCUMENTS: Mapping[str, type[BaseModel]] = {
    "optimize": Report,
    "evaluate": EvaluationDocument,
    "evaluate, several agents": ComparisonDocument,
    "blame": BlameDocument,
    "compare": SettingsCompared,
    "transfer": ComparisonDocument,
    "grade": GradeDocument,
    "suite": SuiteDocument,
    "suite, with --grow": GrowthDocument,
    "agree": AgreementDocument,
    "suite, with --triggers": TriggersDocument,
    "plan": PlanDocument,
    "execute": ShardDocument,
    "merge": MergeDocument,
}


def as_printed(model: type[BaseModel], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as a document of the schema, ready for JSON; what was not asked for is left out."""
    return model.model_validate(facts).model_dump(mode="json", exclude_unset=True)


def output_schema() -> dict[str, Any]:
    """The JSON Schema of all documents, by the command that prints them."""
    places, schema = models_json_schema([(model, "serialization") for model in DOCUMENTS.values()])
    by_command = {command: places[model, "serialization"] for command, model in DOCUMENTS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What the commands print with --json",
        "commands": by_command,
        "anyOf": list(by_command.values()),
        **schema,
    }
