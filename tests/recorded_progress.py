from vggexport.errors import sentence
from vggexport.system.progress import Progress


class Recorded(Progress):
    """Keeps what it is told: names of steps, facts, and facts with their advice."""

    def __init__(self):
        self.steps, self.facts, self.notes = [], [], []

    def start(self, step):
        self.steps.append(step)

    def note(self, fact, *advice):
        self.facts.append(fact)
        self.notes.append(sentence(fact, advice))
