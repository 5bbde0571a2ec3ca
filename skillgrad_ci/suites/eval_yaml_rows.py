"""What stands in skillgrade's `eval.yaml`, as far as it is read here. Keys of its own beside it are left alone."""

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from skillgrad_ci.document import Foreign


def _entry(value: Any) -> Any:
    """A bare path in a workspace keeps its base name."""
    return {"src": value, "dest": PurePosixPath(value).name} if isinstance(value, str) else value


class Placed(Foreign):
    """A file or folder of the workspace."""

    src: str = Field(min_length=1)
    dest: str = Field(min_length=1)
    chmod: str | int | None = None


class Deterministic(Foreign):
    type: Literal["deterministic"]
    run: str = Field(min_length=1)
    setup: str = ""
    weight: float = Field(1.0, ge=0)


class LlmRubric(Foreign):
    type: Literal["llm_rubric"]
    rubric: str = Field(min_length=1)
    model: str | None = None
    weight: float = Field(1.0, ge=0)


class EvalTask(Foreign):
    name: str = Field(min_length=1)
    instruction: str = Field(min_length=1)
    workspace: Annotated[
        list[Annotated[Placed, BeforeValidator(_entry)]],
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    ] = Field(default_factory=list)
    graders: list[Annotated[Deterministic | LlmRubric, Field(discriminator="type")]] = Field(min_length=1)
    solution: str | None = None
    trials: int | None = Field(None, ge=1)
    timeout: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _weighed(self) -> "EvalTask":
        if not any(grader.weight for grader in self.graders):
            raise ValueError("all weights are 0; at least one grader must count")
        return self


class EvalDefaults(Foreign):
    """skillgrade's own defaults, where a file gives none."""

    trials: int | None = Field(None, ge=1)
    timeout: float = Field(300.0, gt=0)
    threshold: float = Field(0.8, gt=0, le=1)


class EvalFile(Foreign):
    version: str | int | float = "1"
    skill: str | None = None
    defaults: EvalDefaults = Field(default_factory=lambda: EvalDefaults())
    tasks: list[EvalTask] = Field(min_length=1)
