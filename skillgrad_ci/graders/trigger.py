"""`trigger`: whether the agent activated the skill, as it should or should not."""

from skillgrad_ci.method.evidence import Grade, Outcome
from skillgrad_ci.method.grader_options import TriggerOptions
from skillgrad_ci.method.ports import Result
from skillgrad_ci.method.task import GraderSpec, Task


class TriggerGrader:
    """Looks at the trajectory alone."""

    identity = "trigger/1"

    def grade(self, spec: GraderSpec, task: Task, result: Result) -> Grade:  # noqa: ARG002 (a Grader's form)
        wanted = TriggerOptions.model_validate(spec.options).should_trigger
        activated = result.trajectory.activated
        if activated is wanted:
            return Grade(Outcome.PASSED, 1.0, "the skill was activated" if activated else "the skill stayed out")
        did = "was activated, and should have stayed out" if activated else "was not activated, and should have been"
        others = result.trajectory.others_activated
        instead = f" ({', '.join(others)} was)" if others and not activated else ""
        return Grade(Outcome.FAILED, 0.0, f"the skill {did}{instead}: its description decides that")
