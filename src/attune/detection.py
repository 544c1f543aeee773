"""Is there speech in a clip? A tuned and released detector, from Python:

from attune.detection import open_deployed

detector = open_deployed("path/to/ct2")
detector.detect_file("clip.wav")  # Detection(label='SPEECH', confidence=0.97)
"""

from attune.tasks.speech_detection.parts.deployed import Deployed, Detection, open_deployed

__all__ = ["Deployed", "Detection", "open_deployed"]
