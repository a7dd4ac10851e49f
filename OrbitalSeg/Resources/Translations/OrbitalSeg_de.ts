<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de" sourcelanguage="en">
 <context>
  <name>OrbitalSeg</name>
  <message>
   <source> mm</source>
   <translation> mm</translation>
  </message>
  <message>
   <source>&amp;Box:</source>
   <translation>&amp;Kasten:</translation>
  </message>
  <message>
   <source>&amp;CT:</source>
   <translation>&amp;CT:</translation>
  </message>
  <message>
   <source>&amp;Format:</source>
   <translation>&amp;Format:</translation>
  </message>
  <message>
   <source>&amp;Into folder:</source>
   <translation>&amp;In den Ordner:</translation>
  </message>
  <message>
   <source>&amp;Into:</source>
   <translation>&amp;In:</translation>
  </message>
  <message>
   <source>&amp;Islands</source>
   <translation>&amp;Inseln</translation>
  </message>
  <message>
   <source>&amp;Measure the orbits</source>
   <translation>Augenhöhlen &amp;messen</translation>
  </message>
  <message>
   <source>&amp;Method:</source>
   <translation>&amp;Verfahren:</translation>
  </message>
  <message>
   <source>&amp;Purpose:</source>
   <translation>&amp;Zweck:</translation>
  </message>
  <message>
   <source>&amp;Region:</source>
   <translation>&amp;Bereich:</translation>
  </message>
  <message>
   <source>&amp;Segment</source>
   <translation>&amp;Segmentieren</translation>
  </message>
  <message>
   <source>&amp;Write the record</source>
   <translation>Protokoll sc&amp;hreiben</translation>
  </message>
  <message>
   <source>1. Scan</source>
   <translation>1. Scan</translation>
  </message>
  <message>
   <source>2. Region</source>
   <translation>2. Bereich</translation>
  </message>
  <message>
   <source>3. Method</source>
   <translation>3. Verfahren</translation>
  </message>
  <message>
   <source>4. Segment</source>
   <translation>4. Segmentieren</translation>
  </message>
  <message>
   <source>5. Threshold</source>
   <translation>5. Schwelle</translation>
  </message>
  <message>
   <source>6. Correct</source>
   <translation>6. Korrigieren</translation>
  </message>
  <message>
   <source>7. Orbit volume</source>
   <translation>7. Volumen der Augenhöhlen</translation>
  </message>
  <message>
   <source>8. Export</source>
   <translation>8. Export</translation>
  </message>
  <message>
   <source>9. Review and record</source>
   <translation>9. Prüfung und Protokoll</translation>
  </message>
  <message>
   <source>A head CT in, a printable model of the orbital bones out, by the steps of ISO/IEC 3532: check the scan, segment, correct, measure, export, review and record. Not a medical device: a physician must review every model before it is used. See docs/tutorial.md.</source>
   <translation>Aus einem CT des Kopfes wird ein druckbares Modell der Knochen der Augenhöhle, in den Schritten von ISO/IEC 3532: Scan prüfen, segmentieren, korrigieren, messen, exportieren, prüfen und dokumentieren. Kein Medizinprodukt: Jedes Modell muss vor der Verwendung ärztlich geprüft werden. Siehe docs/tutorial.md.</translation>
  </message>
  <message>
   <source>A new segmentation</source>
   <translation>Eine neue Segmentierung</translation>
  </message>
  <message>
   <source>A parent transform is applied to a copy of the volume; the volume itself stays as it is.</source>
   <translation>Eine übergeordnete Transformation wird auf eine Kopie des Volumens angewendet; das Volumen selbst bleibt, wie es ist.</translation>
  </message>
  <message>
   <source>A region of interest (ROI) that can be dragged in the views; mm.</source>
   <translation>Ein Kasten (ROI), der sich in den Ansichten ziehen lässt; mm.</translation>
  </message>
  <message>
   <source>Adds a box of 120 x 80 x 70 mm (left-right, front-back, height), to be dragged.</source>
   <translation>Fügt einen Kasten von 120 x 80 x 70 mm hinzu (links-rechts, vorn-hinten, Höhe), der sich ziehen lässt.</translation>
  </message>
  <message>
   <source>Advanced</source>
   <translation>Weiteres</translation>
  </message>
  <message>
   <source>An estimate in GB, from the scan's size; the run is refused if it would take more than half of what is free.</source>
   <translation>Eine Schätzung in GB aus der Größe des Scans; der Lauf wird abgelehnt, wenn er mehr als die Hälfte des freien Speichers brauchte.</translation>
  </message>
  <message>
   <source>Apache License 2.0. After ISO/IEC 3532-1 and 3532-2, and Ekman et al. 2025.</source>
   <translation>Apache License 2.0. Nach ISO/IEC 3532-1 und 3532-2 sowie Ekman et al. 2025.</translation>
  </message>
  <message>
   <source>Back to the limits of the r&amp;un</source>
   <translation>Zurück zu den Grenzen des La&amp;ufs</translation>
  </message>
  <message>
   <source>Bone-like onl&amp;y</source>
   <translation>Nur &amp;Knochenartiges</translation>
  </message>
  <message>
   <source>Both orbits, or the patient's right or left one. Default: both.</source>
   <translation>Beide Augenhöhlen, oder die rechte oder linke des Patienten. Vorgabe: beide.</translation>
  </message>
  <message>
   <source>Cance&amp;l</source>
   <translation>A&amp;bbrechen</translation>
  </message>
  <message>
   <source>Chec&amp;k the scan</source>
   <translation>Scan &amp;prüfen</translation>
  </message>
  <message>
   <source>Choose a CT of the head</source>
   <translation>Ein CT des Kopfes wählen</translation>
  </message>
  <message>
   <source>Choose the CT, and see what it is fit for.</source>
   <translation>Wählen Sie das CT und sehen Sie, wozu es taugt.</translation>
  </message>
  <message>
   <source>Counts what was edited by hand, and writes record and page.</source>
   <translation>Zählt, was von Hand bearbeitet wurde, und schreibt Protokoll und Seite.</translation>
  </message>
  <message>
   <source>De&amp;vice:</source>
   <translation>&amp;Gerät:</translation>
  </message>
  <message>
   <source>Default: both orbits, found by themselves, with 10 mm above and around. Right and left are the patient's.</source>
   <translation>Vorgabe: beide Augenhöhlen, von selbst gefunden, mit 10 mm darüber und darum. Rechts und links sind die des Patienten.</translation>
  </message>
  <message>
   <source>E&amp;xport</source>
   <translation>E&amp;xportieren</translation>
  </message>
  <message>
   <source>F&amp;older:</source>
   <translation>O&amp;rdner:</translation>
  </message>
  <message>
   <source>Faithful: keeps walls, takes stairs away (default). None: the isosurface as it is. Smooth: rounder, and moves more; the report says how far, in mm.</source>
   <translation>Treu: behält Wände, nimmt Stufen weg (Vorgabe). Keines: die Isofläche, wie sie ist. Glatt: runder, und bewegt mehr; der Bericht sagt, wie weit, in mm.</translation>
  </message>
  <message>
   <source>Fewer trian&amp;gles, by:</source>
   <translation>Weniger Dr&amp;eiecke, um:</translation>
  </message>
  <message>
   <source>Files that were written</source>
   <translation>Geschriebene Dateien</translation>
  </message>
  <message>
   <source>Files to print, or for other programs.</source>
   <translation>Dateien zum Drucken oder für andere Programme.</translation>
  </message>
  <message>
   <source>Find the bone.</source>
   <translation>Den Knochen finden.</translation>
  </message>
  <message>
   <source>Forgets which slices were seen.</source>
   <translation>Vergisst, welche Schichten gesehen wurden.</translation>
  </message>
  <message>
   <source>How bone is found.</source>
   <translation>Wie Knochen gefunden wird.</translation>
  </message>
  <message>
   <source>How far smoothing moved each surface, what it holds, and whether it is closed.</source>
   <translation>Wie weit das Glätten jede Oberfläche bewegt hat, was sie umschließt, und ob sie geschlossen ist.</translation>
  </message>
  <message>
   <source>How surfaces are made: it may stay as it is.</source>
   <translation>Wie Oberflächen gemacht werden: Es kann so bleiben.</translation>
  </message>
  <message>
   <source>It has no clearance from any authority. Right and left are the patient's, everywhere.</source>
   <translation>Keine Behörde hat es zugelassen. Rechts und links sind überall die des Patienten.</translation>
  </message>
  <message>
   <source>Leaves out triangles as long as no place of the surface moves further than this. Default: off, mm.</source>
   <translation>Lässt Dreiecke weg, solange sich keine Stelle der Oberfläche weiter bewegt. Vorgabe: aus, mm.</translation>
  </message>
  <message>
   <source>Limits, model package and device: they may stay as they are.</source>
   <translation>Grenzen, Modellpaket und Gerät: Sie können so bleiben.</translation>
  </message>
  <message>
   <source>Make a &amp;practice scan</source>
   <translation>&amp;Übungsscan machen</translation>
  </message>
  <message>
   <source>Make it &amp;exact</source>
   <translation>G&amp;enau machen</translation>
  </message>
  <message>
   <source>Makes the CT of a head by formula (0.5 x 0.5 x 0.6 mm) on this computer: no patient, no download. Takes about a minute.</source>
   <translation>Macht auf diesem Rechner das CT eines Kopfes nach Formel (0,5 x 0,5 x 0,6 mm): kein Patient, kein Download. Dauert etwa eine Minute.</translation>
  </message>
  <message>
   <source>Makes the surfaces, checks them, reads every file back, and only then reports success.</source>
   <translation>Macht die Oberflächen, prüft sie, liest jede Datei zurück und meldet erst dann Erfolg.</translation>
  </message>
  <message>
   <source>Makes what a run with these limits makes, without its networks: in the background, a moment after a slider rests. Here again if you cancelled it.</source>
   <translation>Macht, was ein Lauf mit diesen Grenzen macht, ohne seine Netze: im Hintergrund, kurz nachdem ein Regler ruht. Hier noch einmal, wenn Sie es abgebrochen haben.</translation>
  </message>
  <message>
   <source>Mar&amp;k for correction</source>
   <translation>Zur Korrektur &amp;markieren</translation>
  </message>
  <message>
   <source>Marks the slice that is shown; correct it in section 6, then see it again.</source>
   <translation>Markiert die gezeigte Schicht; korrigieren Sie sie in Abschnitt 6 und sehen Sie sie dann wieder an.</translation>
  </message>
  <message>
   <source>Measures the room between the walls of each whole orbit, ml: of the segments as they are now, edited or not, with inferred wall as a wall.</source>
   <translation>Misst den Raum zwischen den Wänden jeder ganzen Augenhöhle, ml: an den Segmenten, wie sie jetzt sind, bearbeitet oder nicht, mit erschlossener Wand als Wand.</translation>
  </message>
  <message>
   <source>Median over 3 voxels: it takes away specks and keeps walls of two voxels or more. Thinner walls suffer: look.</source>
   <translation>Median über 3 Voxel: Er nimmt Krümel weg und behält Wände von zwei Voxeln und mehr. Dünnere Wände leiden: Sehen Sie nach.</translation>
  </message>
  <message>
   <source>Mend the result by hand, with the Segment Editor.</source>
   <translation>Bessern Sie das Ergebnis von Hand, mit dem Segment Editor.</translation>
  </message>
  <message>
   <source>Mo&amp;del package:</source>
   <translation>Mo&amp;dellpaket:</translation>
  </message>
  <message>
   <source>Move the limits of probability of a result by networks; no network runs again.</source>
   <translation>Verschiebt die Grenzen der Wahrscheinlichkeit eines Ergebnisses von Netzen; kein Netz läuft noch einmal.</translation>
  </message>
  <message>
   <source>Ne&amp;xt slice</source>
   <translation>Nä&amp;chste Schicht</translation>
  </message>
  <message>
   <source>Networks where a model package is installed, else a threshold.</source>
   <translation>Netze, wo ein Modellpaket installiert ist, sonst eine Schwelle.</translation>
  </message>
  <message>
   <source>No box</source>
   <translation>Kein Kasten</translation>
  </message>
  <message>
   <source>Not a medical device: a physician must review the model before it is used.</source>
   <translation>Kein Medizinprodukt: Das Modell muss vor der Verwendung ärztlich geprüft werden.</translation>
  </message>
  <message>
   <source>O&amp;utcome:</source>
   <translation>&amp;Ergebnis:</translation>
  </message>
  <message>
   <source>Only for computers without network: a folder of Python wheels. Default: empty, from pypi.org.</source>
   <translation>Nur für Rechner ohne Netzwerk: ein Ordner mit Python-Paketen (wheels). Vorgabe: leer, von pypi.org.</translation>
  </message>
  <message>
   <source>Ope&amp;rator:</source>
   <translation>A&amp;usgeführt von:</translation>
  </message>
  <message>
   <source>Open the fol&amp;der</source>
   <translation>Ordner ö&amp;ffnen</translation>
  </message>
  <message>
   <source>OrbitalSeg</source>
   <translation>OrbitalSeg</translation>
  </message>
  <message>
   <source>OrbitalSeg is not a medical device. A physician must review every model before it is used.</source>
   <translation>OrbitalSeg ist kein Medizinprodukt. Jedes Modell muss vor der Verwendung ärztlich geprüft werden.</translation>
  </message>
  <message>
   <source>Pac&amp;kages from:</source>
   <translation>Pa&amp;kete aus:</translation>
  </message>
  <message>
   <source>Packages that 3D Slicer does not ship; you are asked before anything is installed.</source>
   <translation>Pakete, die 3D Slicer nicht mitbringt; Sie werden gefragt, bevor etwas installiert wird.</translation>
  </message>
  <message>
   <source>Paint with a brush of one voxel, in the slice only.</source>
   <translation>Malt mit einem Pinsel von einem Voxel, nur in der Schicht.</translation>
  </message>
  <message>
   <source>Painting changes voxels between -100 and 300 HU only: thin walls, not air and not the brain's edge. Default: off.</source>
   <translation>Malen ändert nur Voxel zwischen -100 und 300 HU: dünne Wände, nicht Luft und nicht den Rand des Gehirns. Vorgabe: aus.</translation>
  </message>
  <message>
   <source>Part that is right:</source>
   <translation>Richtiger Teil:</translation>
  </message>
  <message>
   <source>Percent of the whole run.</source>
   <translation>Prozent des ganzen Laufs.</translation>
  </message>
  <message>
   <source>Physicia&amp;n:</source>
   <translation>Är&amp;ztlich geprüft von:</translation>
  </message>
  <message>
   <source>Place a box &amp;around the view's centre</source>
   <translation>Kasten um die &amp;Mitte der Ansicht setzen</translation>
  </message>
  <message>
   <source>Practice scan of the orbits</source>
   <translation>Übungsscan der Augenhöhlen</translation>
  </message>
  <message>
   <source>Progress of the run</source>
   <translation>Fortschritt des Laufs</translation>
  </message>
  <message>
   <source>Quality of the surfaces</source>
   <translation>Güte der Oberflächen</translation>
  </message>
  <message>
   <source>Reads the scan as a run does, in the background, and says what there is to say of it. This happens by itself when a scan is chosen.</source>
   <translation>Liest den Scan im Hintergrund, wie es ein Lauf tut, und sagt, was dazu zu sagen ist. Das geschieht von selbst, wenn ein Scan gewählt wird.</translation>
  </message>
  <message>
   <source>Remove specks that touch nothing by a face of a voxel, smaller than 0.1 ml. A thin wall that hangs on by edges or corners only goes too: look.</source>
   <translation>Entfernt Krümel unter 0,1 ml, die nichts mit der Fläche eines Voxels berühren. Eine dünne Wand, die nur an Kanten oder Ecken hängt, geht auch verloren: Sehen Sie nach.</translation>
  </message>
  <message>
   <source>S&amp;ide:</source>
   <translation>&amp;Seite:</translation>
  </message>
  <message>
   <source>STL: for printers; 3MF: with units, names and colours; OBJ and PLY: for other programs; NRRD and NIfTI: the voxels; DICOM: the voxels for an archive, in the study of the scan.</source>
   <translation>STL: für Drucker; 3MF: mit Einheiten, Namen und Farben; OBJ und PLY: für andere Programme; NRRD und NIfTI: die Voxel; DICOM: die Voxel für ein Archiv, in der Studie des Scans.</translation>
  </message>
  <message>
   <source>Save lo&amp;g...</source>
   <translation>Laufproto&amp;koll speichern...</translation>
  </message>
  <message>
   <source>Sets the limits that the networks' run had.</source>
   <translation>Setzt die Grenzen, die der Lauf der Netze hatte.</translation>
  </message>
  <message>
   <source>Sho&amp;w what was measured</source>
   <translation>Ze&amp;igen, was gemessen wurde</translation>
  </message>
  <message>
   <source>Show wall thic&amp;kness on the surface</source>
   <translation>Wanddicke auf der &amp;Oberfläche zeigen</translation>
  </message>
  <message>
   <source>Shows each measured orbit in 3D and its outline in the slices. Blue: the opening in front; ivory: bone; amber: inferred wall; magenta: bridged, for no wall was found. Default: on.</source>
   <translation>Zeigt jede gemessene Augenhöhle in 3D und ihren Umriss in den Schichten. Blau: die Öffnung vorn; elfenbein: Knochen; bernstein: erschlossene Wand; magenta: überbrückt, weil keine Wand gefunden wurde. Vorgabe: an.</translation>
  </message>
  <message>
   <source>Shows the exported surface as a model, coloured by the thickness of its wall. Red: 0 mm; yellow: 0.8 mm, which a common printer can make; green: 2 mm and more; grey: not measured.</source>
   <translation>Zeigt die exportierte Oberfläche als Modell, gefärbt nach der Dicke ihrer Wand. Rot: 0 mm; gelb: 0,8 mm, was ein üblicher Drucker kann; grün: 2 mm und mehr; grau: nicht gemessen.</translation>
  </message>
  <message>
   <source>Shows the files in the system's own window.</source>
   <translation>Zeigt die Dateien im Fenster des Systems.</translation>
  </message>
  <message>
   <source>Shows the next slice that was not seen yet. The boundaries are checked slice by slice before modelling [ISO/IEC 3532-1].</source>
   <translation>Zeigt die nächste Schicht, die noch nicht gesehen wurde. Die Grenzen werden vor dem Modellieren Schicht für Schicht geprüft [ISO/IEC 3532-1].</translation>
  </message>
  <message>
   <source>Slices that were seen</source>
   <translation>Gesehene Schichten</translation>
  </message>
  <message>
   <source>Slices that were seen.</source>
   <translation>Gesehene Schichten.</translation>
  </message>
  <message>
   <source>Sm&amp;ooth</source>
   <translation>&amp;Glätten</translation>
  </message>
  <message>
   <source>Smoot&amp;hing:</source>
   <translation>&amp;Glätten:</translation>
  </message>
  <message>
   <source>Start a&amp;gain</source>
   <translation>Von &amp;vorn</translation>
  </message>
  <message>
   <source>Starts in the background; Slicer stays usable.</source>
   <translation>Beginnt im Hintergrund; Slicer bleibt benutzbar.</translation>
  </message>
  <message>
   <source>Stops the run; the scene stays as it was.</source>
   <translation>Hält den Lauf an; die Szene bleibt, wie sie war.</translation>
  </message>
  <message>
   <source>Take it without Hounsfield units, for no use on a patient</source>
   <translation>Ohne Hounsfield-Einheiten nehmen, nicht für Patienten</translation>
  </message>
  <message>
   <source>The CT of the head, in Hounsfield units (HU).</source>
   <translation>Das CT des Kopfes, in Hounsfield-Einheiten (HU).</translation>
  </message>
  <message>
   <source>The clinical purpose of the model, for the record [ISO/IEC 3532-1, clause 5].</source>
   <translation>Der klinische Zweck des Modells, für das Protokoll [ISO/IEC 3532-1, Abschnitt 5].</translation>
  </message>
  <message>
   <source>The difference of the two volumes, ml, and in percent of the smaller one.</source>
   <translation>Der Unterschied der beiden Volumen, in ml und in Prozent des kleineren.</translation>
  </message>
  <message>
   <source>The file's header contradicts itself: choose the part of it that you know to be right. The volume in the scene is held against that.</source>
   <translation>Der Kopf der Datei widerspricht sich: Wählen Sie den Teil, von dem Sie wissen, dass er stimmt. Das Volumen in der Szene wird damit verglichen.</translation>
  </message>
  <message>
   <source>The files that were written and read back.</source>
   <translation>Die Dateien, die geschrieben und zurückgelesen wurden.</translation>
  </message>
  <message>
   <source>The folder of a model package. Default: empty, the package that ships with OrbitalSeg.</source>
   <translation>Der Ordner eines Modellpakets. Vorgabe: leer, das Paket, das mit OrbitalSeg kommt.</translation>
  </message>
  <message>
   <source>The operator's check, the physician's review, and the record of ISO/IEC 3532-1.</source>
   <translation>Die Prüfung durch die ausführende Person, die ärztliche Prüfung und das Protokoll nach ISO/IEC 3532-1.</translation>
  </message>
  <message>
   <source>The physician's review before manufacture [ISO/IEC 3532-1]. Default: not reviewed yet.</source>
   <translation>Die ärztliche Prüfung vor der Herstellung [ISO/IEC 3532-1]. Vorgabe: noch nicht geprüft.</translation>
  </message>
  <message>
   <source>The record goes into a new folder here, with the segmentation, its surface and a page for people.</source>
   <translation>Das Protokoll kommt hier in einen neuen Ordner, mit der Segmentierung, ihrer Oberfläche und einer Seite für Menschen.</translation>
  </message>
  <message>
   <source>The result could not be shown.</source>
   <translation>Das Ergebnis konnte nicht gezeigt werden.</translation>
  </message>
  <message>
   <source>The scan and its conditions</source>
   <translation>Der Scan und seine Bedingungen</translation>
  </message>
  <message>
   <source>The scan held against the minimum conditions for the orbit [ISO/IEC 3532-2, table A.1]. A cell's tooltip gives the reason.</source>
   <translation>Der Scan, verglichen mit den Mindestbedingungen für die Augenhöhle [ISO/IEC 3532-2, Tabelle A.1]. Der Hinweis zu einer Zelle nennt den Grund.</translation>
  </message>
  <message>
   <source>The scan that Segment takes.</source>
   <translation>Der Scan, den Segmentieren nimmt.</translation>
  </message>
  <message>
   <source>The step that runs, and the time left.</source>
   <translation>Der Schritt, der läuft, und die Zeit, die noch bleibt.</translation>
  </message>
  <message>
   <source>The values of this scan are no Hounsfield units. It is taken as it is, and the verdict is: do not use.</source>
   <translation>Die Werte dieses Scans sind keine Hounsfield-Einheiten. Er wird genommen, wie er ist, und das Urteil heißt: nicht verwenden (do not use).</translation>
  </message>
  <message>
   <source>The volume of each orbit, between its walls as they are segmented.</source>
   <translation>Das Volumen jeder Augenhöhle zwischen ihren Wänden, wie sie segmentiert sind.</translation>
  </message>
  <message>
   <source>Thicken &amp;walls to:</source>
   <translation>&amp;Wände verdicken auf:</translation>
  </message>
  <message>
   <source>Thin &amp;wall</source>
   <translation>Dünne &amp;Wand</translation>
  </message>
  <message>
   <source>Volumes of the orbits</source>
   <translation>Volumen der Augenhöhlen</translation>
  </message>
  <message>
   <source>Walls that are thinner are thickened to this, half to each side, so that a printer can make them; the report says where. Default: off, mm.</source>
   <translation>Dünnere Wände werden darauf verdickt, zur Hälfte nach jeder Seite, damit ein Drucker sie machen kann; der Bericht sagt, wo. Vorgabe: aus, mm.</translation>
  </message>
  <message>
   <source>What comes next.</source>
   <translation>Was als Nächstes kommt.</translation>
  </message>
  <message>
   <source>What part of the scan is segmented.</source>
   <translation>Welcher Teil des Scans segmentiert wird.</translation>
  </message>
  <message>
   <source>What reading the scan warns of, or why it is refused. The files that Slicer made the volume of, where they are there, are read too, and the volume is held against them.</source>
   <translation>Wovor das Lesen des Scans warnt, oder warum er abgelehnt wird. Die Dateien, aus denen Slicer das Volumen gemacht hat, werden, wenn sie da sind, auch gelesen, und das Volumen wird mit ihnen verglichen.</translation>
  </message>
  <message>
   <source>What runs the networks. Default: the best that is installed.</source>
   <translation>Was die Netze ausführt. Vorgabe: das beste, das installiert ist.</translation>
  </message>
  <message>
   <source>What the last run said, to pass on; it holds no path and no patient data.</source>
   <translation>Was der letzte Lauf gesagt hat, zum Weitergeben; es enthält keinen Pfad und keine Patientendaten.</translation>
  </message>
  <message>
   <source>What the record still lacks; it is written as missing.</source>
   <translation>Was im Protokoll noch fehlt; es wird als fehlend eingetragen.</translation>
  </message>
  <message>
   <source>What was measured of each orbit; every row says what it means.</source>
   <translation>Was an jeder Augenhöhle gemessen wurde; jede Zeile sagt, was sie bedeutet.</translation>
  </message>
  <message>
   <source>Where the files go; nothing that exists is overwritten.</source>
   <translation>Wohin die Dateien kommen; nichts, was es gibt, wird überschrieben.</translation>
  </message>
  <message>
   <source>Where the method is described.</source>
   <translation>Wo das Verfahren beschrieben ist.</translation>
  </message>
  <message>
   <source>Where the segments go. What you edited is never overwritten without asking, and one undo brings it back.</source>
   <translation>Wohin die Segmente kommen. Was Sie bearbeitet haben, wird nie ohne Frage überschrieben, und ein Rückgängig bringt es zurück.</translation>
  </message>
  <message>
   <source>Whether the thin walls of the orbit can be judged on this scan [ISO/IEC 3532-2, table A.1].</source>
   <translation>Ob sich die dünnen Wände der Augenhöhle auf diesem Scan beurteilen lassen [ISO/IEC 3532-2, Tabelle A.1].</translation>
  </message>
  <message>
   <source>Whether this result can be trusted, by limits that were measured beforehand, and why. It stays with the result.</source>
   <translation>Ob diesem Ergebnis zu trauen ist, nach vorher gemessenen Grenzen, und warum. Es bleibt beim Ergebnis.</translation>
  </message>
  <message>
   <source>Which scan is chosen: by its DICOM headers the day of the study, the series and its description; the slices as they are in the scene.</source>
   <translation>Welcher Scan gewählt ist: nach seinen DICOM-Köpfen der Tag der Studie, die Serie und ihre Beschreibung; die Schichten, wie sie in der Szene sind.</translation>
  </message>
  <message>
   <source>Who made the model: a name or a role, for the record.</source>
   <translation>Wer das Modell gemacht hat: ein Name oder eine Rolle, für das Protokoll.</translation>
  </message>
  <message>
   <source>Who reviewed the model before manufacture: a name or a role.</source>
   <translation>Wer das Modell vor der Herstellung geprüft hat: ein Name oder eine Rolle.</translation>
  </message>
  <message>
   <source>for example: pre-bending of a plate for the right floor</source>
   <translation>zum Beispiel: Vorbiegen einer Platte für den rechten Boden</translation>
  </message>
  <message>
   <source>name or role</source>
   <translation>Name oder Rolle</translation>
  </message>
  <message>
   <source>off</source>
   <translation>aus</translation>
  </message>
 </context>
 <context>
  <name>OrbitalSegPanel.estimates</name>
  <message>
   <source>A method without networks needs little memory.</source>
   <translation>Ein Verfahren ohne Netze braucht wenig Speicher.</translation>
  </message>
  <message>
   <source>Choose a smaller region.</source>
   <translation>Wählen Sie einen kleineren Bereich.</translation>
  </message>
  <message>
   <source>Memory: about {needed:.1f} GB; {allowed:.1f} GB may be used.</source>
   <translation>Speicher: etwa {needed:.1f} GB; {allowed:.1f} GB dürfen benutzt werden.</translation>
  </message>
  <message>
   <source>There is no model package in this folder: choose another one.</source>
   <translation>In diesem Ordner liegt kein Modellpaket: Wählen Sie einen anderen.</translation>
  </message>
 </context>
 <context>
  <name>OrbitalSegPanel.exporting</name>
  <message>
   <source>A file was not written whole: check the disk, and export again.</source>
   <translation>Eine Datei wurde nicht ganz geschrieben: Prüfen Sie die Festplatte und exportieren Sie noch einmal.</translation>
  </message>
  <message>
   <source>Choose a folder that exists.</source>
   <translation>Wählen Sie einen Ordner, den es gibt.</translation>
  </message>
  <message>
   <source>Choose a segment that holds something.</source>
   <translation>Wählen Sie ein Segment, das etwas enthält.</translation>
  </message>
  <message>
   <source>Left and right cannot be told apart: two orbits were not found in the scan. Export both sides.</source>
   <translation>Links und rechts lassen sich nicht unterscheiden: Im Scan wurden nicht beide Augenhöhlen gefunden. Exportieren Sie beide Seiten.</translation>
  </message>
  <message>
   <source>Segment a scan first: there is nothing to export.</source>
   <translation>Segmentieren Sie zuerst einen Scan: Es gibt nichts zu exportieren.</translation>
  </message>
  <message>
   <source>The folder holds too many files of that name: choose another one.</source>
   <translation>Im Ordner liegen zu viele Dateien dieses Namens: Wählen Sie einen anderen.</translation>
  </message>
  <message>
   <source>The result holds the {side} orbit only.</source>
   <translation>Das Ergebnis enthält nur die Augenhöhle {side}.</translation>
  </message>
  <message>
   <source>The segmentation could not be written: check the free space on the disk.</source>
   <translation>Die Segmentierung konnte nicht geschrieben werden: Prüfen Sie den freien Platz auf der Festplatte.</translation>
  </message>
 </context>
 <context>
  <name>OrbitalSegPanel.logic</name>
  <message>
   <source>Choose a CT first.</source>
   <translation>Wählen Sie zuerst ein CT.</translation>
  </message>
  <message>
   <source>Choose a box, or another region.</source>
   <translation>Wählen Sie einen Kasten oder einen anderen Bereich.</translation>
  </message>
  <message>
   <source>Choose a folder that exists for the record.</source>
   <translation>Wählen Sie für das Protokoll einen Ordner, den es gibt.</translation>
  </message>
  <message>
   <source>Choose the CT of the segments first: the orbits are looked for in it.</source>
   <translation>Wählen Sie zuerst das CT der Segmente: Darin werden die Augenhöhlen gesucht.</translation>
  </message>
  <message>
   <source>DICOM needs the scan as Slicer imported it from DICOM, without a transform: choose it under CT, or another format.</source>
   <translation>DICOM braucht den Scan so, wie Slicer ihn aus DICOM importiert hat, ohne Transformation: Wählen Sie ihn unter CT, oder ein anderes Format.</translation>
  </message>
  <message>
   <source>Files written and read back: {count}.</source>
   <translation>Geschriebene und zurückgelesene Dateien: {count}.</translation>
  </message>
  <message>
   <source>Orbit box</source>
   <translation>Kasten um die Augenhöhlen</translation>
  </message>
  <message>
   <source>Segment a scan first: DICOM says how its segments were made.</source>
   <translation>Segmentieren Sie zuerst einen Scan: DICOM sagt, wie seine Segmente entstanden sind.</translation>
  </message>
  <message>
   <source>Segment a scan first: an orbit is measured between its bony walls.</source>
   <translation>Segmentieren Sie zuerst einen Scan: Eine Augenhöhle wird zwischen ihren knöchernen Wänden gemessen.</translation>
  </message>
  <message>
   <source>Segment a scan first: there is no result to write a record of.</source>
   <translation>Segmentieren Sie zuerst einen Scan: Es gibt kein Ergebnis für ein Protokoll.</translation>
  </message>
  <message>
   <source>The earlier segmentation was left alone; this result is a new one.</source>
   <translation>Die frühere Segmentierung blieb unberührt; dieses Ergebnis ist eine neue.</translation>
  </message>
  <message>
   <source>The measurement could not be read: {error}</source>
   <translation>Die Messung konnte nicht gelesen werden: {error}</translation>
  </message>
  <message>
   <source>The orbits are measured.</source>
   <translation>Die Augenhöhlen sind gemessen.</translation>
  </message>
  <message>
   <source>The packages are installed.</source>
   <translation>Die Pakete sind installiert.</translation>
  </message>
  <message>
   <source>The practice scan could not be read: {error}</source>
   <translation>Der Übungsscan konnte nicht gelesen werden: {error}</translation>
  </message>
  <message>
   <source>The practice scan is in the scene: a head by formula, no patient.</source>
   <translation>Der Übungsscan ist in der Szene: ein Kopf nach Formel, kein Patient.</translation>
  </message>
  <message>
   <source>The record is written.</source>
   <translation>Das Protokoll ist geschrieben.</translation>
  </message>
  <message>
   <source>The record {name} could not be put into its folder: {error}</source>
   <translation>Das Protokoll {name} konnte nicht in seinen Ordner gelegt werden: {error}</translation>
  </message>
  <message>
   <source>The result could not be read: {error}</source>
   <translation>Das Ergebnis konnte nicht gelesen werden: {error}</translation>
  </message>
  <message>
   <source>The segments are in the scene.</source>
   <translation>Die Segmente sind in der Szene.</translation>
  </message>
  <message>
   <source>The segments are what a run with these limits makes.</source>
   <translation>Die Segmente sind das, was ein Lauf mit diesen Grenzen ergibt.</translation>
  </message>
  <message>
   <source>The segments were edited or deleted meanwhile, and left as they are.</source>
   <translation>Die Segmente wurden inzwischen bearbeitet oder gelöscht und bleiben, wie sie sind.</translation>
  </message>
  <message>
   <source>bone of the left orbit</source>
   <translation>Knochen der linken Augenhöhle</translation>
  </message>
  <message>
   <source>bone of the right orbit</source>
   <translation>Knochen der rechten Augenhöhle</translation>
  </message>
  <message>
   <source>clinical purpose</source>
   <translation>klinischer Zweck</translation>
  </message>
  <message>
   <source>operator</source>
   <translation>ausführende Person</translation>
  </message>
  <message>
   <source>orbital bone</source>
   <translation>Knochen der Augenhöhlen</translation>
  </message>
  <message>
   <source>physician</source>
   <translation>Ärztin oder Arzt</translation>
  </message>
  <message>
   <source>physician's review</source>
   <translation>ärztliche Prüfung</translation>
  </message>
  <message>
   <source>physician's review of what was changed since</source>
   <translation>ärztliche Prüfung dessen, was seitdem geändert wurde</translation>
  </message>
  <message>
   <source>slice-by-slice check</source>
   <translation>Prüfung Schicht für Schicht</translation>
  </message>
 </context>
 <context>
  <name>OrbitalSegPanel.orbits</name>
  <message>
   <source>Beyond the bridges</source>
   <translation>Jenseits der Brücken</translation>
  </message>
  <message>
   <source>Inferred wall</source>
   <translation>Erschlossene Wand</translation>
  </message>
  <message>
   <source>Left</source>
   <translation>Links</translation>
  </message>
  <message>
   <source>Orbit {side} ({ml:.1f} ml)</source>
   <translation>Augenhöhle {side} ({ml:.1f} ml)</translation>
  </message>
  <message>
   <source>Orbit {side} ({ml:.1f} ml, before a change)</source>
   <translation>Augenhöhle {side} ({ml:.1f} ml, vor einer Änderung)</translation>
  </message>
  <message>
   <source>Right</source>
   <translation>Rechts</translation>
  </message>
  <message>
   <source>Right and left differ by {ml:.1f} ml ({percent:.1f} %), which equal orbits do too when measured.</source>
   <translation>Rechts und links unterscheiden sich um {ml:.1f} ml ({percent:.1f} %); das tun gleiche Augenhöhlen beim Messen auch.</translation>
  </message>
  <message>
   <source>Soft tissue beyond the bridges, up to the air of a sinus, as far as it is seen from inside, ml: what has sagged through holes, and thick mucosa. 0 where the sinus is opaque: it cannot be known there. It is not part of the volume.</source>
   <translation>Weichgewebe jenseits der Brücken bis zur Luft einer Nebenhöhle, soweit man es von innen sieht, ml: was durch Löcher gesunken ist, und dicke Schleimhaut. 0, wo die Nebenhöhle verschattet ist: Dort kann man es nicht wissen. Es gehört nicht zum Volumen.</translation>
  </message>
  <message>
   <source>The room between the bony walls, closed in front by a saddle through the crest of the rim, ml.</source>
   <translation>Der Raum zwischen den knöchernen Wänden, vorn geschlossen durch eine Sattelfläche durch den Kamm des Randes, ml.</translation>
  </message>
  <message>
   <source>The share of the wall that is inferred: the scan does not show it.</source>
   <translation>Der Anteil der Wand, der erschlossen ist: Der Scan zeigt ihn nicht.</translation>
  </message>
  <message>
   <source>The share of the wall where none was met, because of fissures, canals, fractures or walls that the scan does not show: the volume ends there at a smooth bridge between the walls beside it.</source>
   <translation>Der Anteil der Wand, an dem keine gefunden wurde, wegen Spalten, Kanälen, Brüchen oder Wänden, die der Scan nicht zeigt: Dort endet das Volumen an einer glatten Brücke zwischen den Wänden daneben.</translation>
  </message>
  <message>
   <source>Volume</source>
   <translation>Volumen</translation>
  </message>
  <message>
   <source>Wall bridged</source>
   <translation>Überbrückte Wand</translation>
  </message>
  <message>
   <source>cut off</source>
   <translation>abgeschnitten</translation>
  </message>
  <message>
   <source>left</source>
   <translation>links</translation>
  </message>
  <message>
   <source>no rim</source>
   <translation>kein Rand</translation>
  </message>
  <message>
   <source>not found</source>
   <translation>nicht gefunden</translation>
  </message>
  <message>
   <source>not segmented</source>
   <translation>nicht segmentiert</translation>
  </message>
  <message>
   <source>right</source>
   <translation>rechts</translation>
  </message>
  <message>
   <source>the surface of the {side} orbit is missing</source>
   <translation>die Oberfläche der Augenhöhle {side} fehlt</translation>
  </message>
  <message>
   <source>too little wall</source>
   <translation>zu wenig Wand</translation>
  </message>
  <message>
   <source>{side} is larger by {ml:.1f} ml ({percent:.1f} %).</source>
   <translation>{side} ist um {ml:.1f} ml ({percent:.1f} %) größer.</translation>
  </message>
 </context>
 <context>
  <name>OrbitalSegPanel.origin</name>
  <message>
   <source>The scene holds scans of several patients: check that this is the right one.</source>
   <translation>In der Szene sind Scans mehrerer Patienten: Prüfen Sie, dass dies der richtige ist.</translation>
  </message>
  <message>
   <source>The scene holds several studies: check that this is the right one.</source>
   <translation>In der Szene sind mehrere Studien: Prüfen Sie, dass dies die richtige ist.</translation>
  </message>
  <message>
   <source>no date</source>
   <translation>ohne Datum</translation>
  </message>
  <message>
   <source>{day}, series {number} {description}</source>
   <translation>{day}, Serie {number} {description}</translation>
  </message>
  <message>
   <source>{slices} slices {distance:.2f} mm apart</source>
   <translation>{slices} Schichten im Abstand von {distance:.2f} mm</translation>
  </message>
 </context>
 <context>
  <name>OrbitalSegPanel.packages</name>
  <message>
   <source>It is installed into this Slicer only, from {source}. Without network, choose a folder of packages in section 3. Install it now?</source>
   <translation>Es wird nur in diesem Slicer installiert, aus {source}. Ohne Netzwerk wählen Sie in Abschnitt 3 einen Ordner mit Paketen. Jetzt installieren?</translation>
  </message>
  <message>
   <source>This needs a Python package that 3D Slicer does not ship:</source>
   <translation>Dafür wird ein Python-Paket gebraucht, das 3D Slicer nicht mitbringt:</translation>
  </message>
  <message>
   <source>makes surfaces of fewer triangles</source>
   <translation>macht Oberflächen aus weniger Dreiecken</translation>
  </message>
  <message>
   <source>runs the networks on any processor</source>
   <translation>führt die Netze auf jedem Prozessor aus</translation>
  </message>
  <message>
   <source>the chosen folder</source>
   <translation>dem gewählten Ordner</translation>
  </message>
  <message>
   <source>the internet (pypi.org)</source>
   <translation>dem Internet (pypi.org)</translation>
  </message>
  <message>
   <source>writes DICOM segmentations</source>
   <translation>schreibt DICOM-Segmentierungen</translation>
  </message>
  <message>
   <source>{name}: {purpose}, about {size} MB</source>
   <translation>{name}: {purpose}, etwa {size} MB</translation>
  </message>
 </context>
 <context>
  <name>OrbitalSegPanel.parameters</name>
  <message>
   <source>A block is one within</source>
   <translation>Ein Block ist eins bis</translation>
  </message>
  <message>
   <source>A class or network of the package above</source>
   <translation>Eine Klasse oder ein Netz des Pakets über</translation>
  </message>
  <message>
   <source>A list of points that are placed and dragged in the views.</source>
   <translation>Eine Liste von Punkten, die in den Ansichten gesetzt und gezogen werden.</translation>
  </message>
  <message>
   <source>Across corners too</source>
   <translation>Auch über Ecken</translation>
  </message>
  <message>
   <source>Across faces</source>
   <translation>Über Flächen</translation>
  </message>
  <message>
   <source>Air below</source>
   <translation>Luft unter</translation>
  </message>
  <message>
   <source>Around a place</source>
   <translation>Um eine Stelle</translation>
  </message>
  <message>
   <source>Begins at</source>
   <translation>Beginnt bei</translation>
  </message>
  <message>
   <source>Belongs to bone by</source>
   <translation>Gehört zu Knochen mit</translation>
  </message>
  <message>
   <source>Bone above</source>
   <translation>Knochen über</translation>
  </message>
  <message>
   <source>Bone has its mean above</source>
   <translation>Knochen hat seinen Mittelwert über</translation>
  </message>
  <message>
   <source>Bone has its middle above</source>
   <translation>Knochen hat seine Mitte über</translation>
  </message>
  <message>
   <source>Bridged over</source>
   <translation>Überbrückt bis</translation>
  </message>
  <message>
   <source>Certainly no bone up to</source>
   <translation>Sicher kein Knochen bis</translation>
  </message>
  <message>
   <source>Classes</source>
   <translation>Klassen</translation>
  </message>
  <message>
   <source>Cortical bone above</source>
   <translation>Kompakter Knochen über</translation>
  </message>
  <message>
   <source>Counted above</source>
   <translation>Gezählt über</translation>
  </message>
  <message>
   <source>Counted up to</source>
   <translation>Gezählt bis</translation>
  </message>
  <message>
   <source>Default</source>
   <translation>Vorgabe</translation>
  </message>
  <message>
   <source>Denoise, edges from</source>
   <translation>Entrauschen, Kanten ab</translation>
  </message>
  <message>
   <source>Edge above</source>
   <translation>Kante über</translation>
  </message>
  <message>
   <source>Edge begins above</source>
   <translation>Kante beginnt über</translation>
  </message>
  <message>
   <source>Edge goes on above</source>
   <translation>Kante setzt sich fort über</translation>
  </message>
  <message>
   <source>Edges closed over</source>
   <translation>Kanten geschlossen über</translation>
  </message>
  <message>
   <source>Fuzziness</source>
   <translation>Unschärfe</translation>
  </message>
  <message>
   <source>Gap above</source>
   <translation>Lücke über</translation>
  </message>
  <message>
   <source>Growing force</source>
   <translation>Wachstumskraft</translation>
  </message>
  <message>
   <source>Grown down to</source>
   <translation>Gewachsen bis</translation>
  </message>
  <message>
   <source>Half an edge at</source>
   <translation>Halbe Kante bei</translation>
  </message>
  <message>
   <source>Image force</source>
   <translation>Bildkraft</translation>
  </message>
  <message>
   <source>Inferred wall above</source>
   <translation>Erschlossene Wand über</translation>
  </message>
  <message>
   <source>Looked for around an orbit</source>
   <translation>Gesucht um eine Augenhöhle</translation>
  </message>
  <message>
   <source>Lower limit</source>
   <translation>Untere Grenze</translation>
  </message>
  <message>
   <source>Merged within</source>
   <translation>Verschmolzen bis</translation>
  </message>
  <message>
   <source>Neighbourhood</source>
   <translation>Nachbarschaft</translation>
  </message>
  <message>
   <source>Neighbours</source>
   <translation>Nachbarn</translation>
  </message>
  <message>
   <source>Points of the scene</source>
   <translation>Punkte der Szene</translation>
  </message>
  <message>
   <source>Random field</source>
   <translation>Zufallsfeld</translation>
  </message>
  <message>
   <source>Rounds</source>
   <translation>Runden</translation>
  </message>
  <message>
   <source>Seeds above</source>
   <translation>Keime über</translation>
  </message>
  <message>
   <source>Smoothed by</source>
   <translation>Geglättet mit</translation>
  </message>
  <message>
   <source>Smoothing force</source>
   <translation>Glättungskraft</translation>
  </message>
  <message>
   <source>Standard deviations</source>
   <translation>Standardabweichungen</translation>
  </message>
  <message>
   <source>Thin bone above</source>
   <translation>Dünner Knochen über</translation>
  </message>
  <message>
   <source>Thresholds</source>
   <translation>Schwellen</translation>
  </message>
  <message>
   <source>Typed above</source>
   <translation>Oben eingetippt</translation>
  </message>
  <message>
   <source>Upper limit</source>
   <translation>Obere Grenze</translation>
  </message>
  <message>
   <source>Without places, above</source>
   <translation>Ohne Stellen, über</translation>
  </message>
  <message>
   <source>no</source>
   <translation>nein</translation>
  </message>
  <message>
   <source>off</source>
   <translation>aus</translation>
  </message>
  <message>
   <source>the model's own</source>
   <translation>wie im Modell</translation>
  </message>
  <message>
   <source>yes</source>
   <translation>ja</translation>
  </message>
  <message>
   <source>{title}, mm: x, y and z towards the patient's left, back and head.</source>
   <translation>{title}, mm: x, y und z zur linken Seite, zum Rücken und zum Kopf des Patienten.</translation>
  </message>
  <message>
   <source>{title}, {unit}: {low:g} to {high:g}. Default: {own}.</source>
   <translation>{title}, {unit}: {low:g} bis {high:g}. Vorgabe: {own}.</translation>
  </message>
 </context>
 <context>
  <name>OrbitalSegPanel.quality</name>
  <message>
   <source>95 % of the walls are thicker than, mm</source>
   <translation>95 % der Wände sind dicker als, mm</translation>
  </message>
  <message>
   <source>Figure</source>
   <translation>Größe</translation>
  </message>
  <message>
   <source>Open edges (0: closed)</source>
   <translation>Offene Kanten (0: geschlossen)</translation>
  </message>
  <message>
   <source>Parts</source>
   <translation>Teile</translation>
  </message>
  <message>
   <source>Smoothing moved 95 % by less than, mm</source>
   <translation>Glätten bewegte 95 % um weniger als, mm</translation>
  </message>
  <message>
   <source>Smoothing moved at most, mm</source>
   <translation>Glätten bewegte höchstens um, mm</translation>
  </message>
  <message>
   <source>The surface cannot be read any more: export it again.</source>
   <translation>Die Oberfläche lässt sich nicht mehr lesen: Exportieren Sie sie noch einmal.</translation>
  </message>
  <message>
   <source>Triangles</source>
   <translation>Dreiecke</translation>
  </message>
  <message>
   <source>Tunnels</source>
   <translation>Tunnel</translation>
  </message>
  <message>
   <source>Volume, ml</source>
   <translation>Volumen, ml</translation>
  </message>
  <message>
   <source>Walls too thin for a common printer, mm²</source>
   <translation>Zu dünne Wände für übliche Drucker, mm²</translation>
  </message>
  <message>
   <source>no</source>
   <translation>nein</translation>
  </message>
  <message>
   <source>none</source>
   <translation>keine</translation>
  </message>
  <message>
   <source>yes</source>
   <translation>ja</translation>
  </message>
 </context>
 <context>
  <name>OrbitalSegPanel.words</name>
  <message>
   <source>acquisition</source>
   <translation>Aufnahmebedingungen</translation>
  </message>
  <message>
   <source>borderline</source>
   <translation>grenzwertig</translation>
  </message>
  <message>
   <source>check</source>
   <translation>prüfen</translation>
  </message>
  <message>
   <source>do not use</source>
   <translation>nicht verwenden</translation>
  </message>
  <message>
   <source>feasible</source>
   <translation>beurteilbar</translation>
  </message>
  <message>
   <source>locating</source>
   <translation>Suche der Orbitae</translation>
  </message>
  <message>
   <source>measuring</source>
   <translation>Messung</translation>
  </message>
  <message>
   <source>met</source>
   <translation>erfüllt</translation>
  </message>
  <message>
   <source>modelling</source>
   <translation>Oberflächen</translation>
  </message>
  <message>
   <source>monitoring</source>
   <translation>Prüfung des Ergebnisses</translation>
  </message>
  <message>
   <source>not feasible</source>
   <translation>nicht beurteilbar</translation>
  </message>
  <message>
   <source>not met</source>
   <translation>nicht erfüllt</translation>
  </message>
  <message>
   <source>not stated</source>
   <translation>nicht angegeben</translation>
  </message>
  <message>
   <source>phantom</source>
   <translation>Übungsscan</translation>
  </message>
  <message>
   <source>postprocessing</source>
   <translation>Nachbearbeitung</translation>
  </message>
  <message>
   <source>preview</source>
   <translation>Vorschaubild</translation>
  </message>
  <message>
   <source>reading</source>
   <translation>Lesen</translation>
  </message>
  <message>
   <source>review</source>
   <translation>Durchsicht</translation>
  </message>
  <message>
   <source>segmenting</source>
   <translation>Segmentierung</translation>
  </message>
  <message>
   <source>trust</source>
   <translation>vertrauenswürdig</translation>
  </message>
  <message>
   <source>writing</source>
   <translation>Schreiben</translation>
  </message>
 </context>
 <context>
  <name>sections.export</name>
  <message>
   <source>3MF, for printers</source>
   <translation>3MF, für Drucker</translation>
  </message>
  <message>
   <source>Both orbits</source>
   <translation>Beide Augenhöhlen</translation>
  </message>
  <message>
   <source>Cortical bone</source>
   <translation>Kompakter Knochen</translation>
  </message>
  <message>
   <source>DICOM, for the archive</source>
   <translation>DICOM, für das Archiv</translation>
  </message>
  <message>
   <source>Faithful</source>
   <translation>Treu</translation>
  </message>
  <message>
   <source>Gap in a wall (no wall on the scan)</source>
   <translation>Lücke in einer Wand (keine Wand im Scan)</translation>
  </message>
  <message>
   <source>Inferred wall (not seen on the scan)</source>
   <translation>Erschlossene Wand (im Scan nicht zu sehen)</translation>
  </message>
  <message>
   <source>Inferred wall is a guess from anatomy: it is left out unless you choose it.</source>
   <translation>Erschlossene Wand ist aus der Anatomie geraten: Sie bleibt weg, wenn Sie sie nicht wählen.</translation>
  </message>
  <message>
   <source>Left</source>
   <translation>Links</translation>
  </message>
  <message>
   <source>NIfTI, the voxels</source>
   <translation>NIfTI, die Voxel</translation>
  </message>
  <message>
   <source>NRRD, the voxels</source>
   <translation>NRRD, die Voxel</translation>
  </message>
  <message>
   <source>None</source>
   <translation>Keines</translation>
  </message>
  <message>
   <source>OBJ</source>
   <translation>OBJ</translation>
  </message>
  <message>
   <source>One file for each segment and side.</source>
   <translation>Eine Datei für jedes Segment und jede Seite.</translation>
  </message>
  <message>
   <source>Orbital bone</source>
   <translation>Knochen der Orbita</translation>
  </message>
  <message>
   <source>PLY</source>
   <translation>PLY</translation>
  </message>
  <message>
   <source>Right</source>
   <translation>Rechts</translation>
  </message>
  <message>
   <source>STL, for printers</source>
   <translation>STL, für Drucker</translation>
  </message>
  <message>
   <source>Smooth</source>
   <translation>Glatt</translation>
  </message>
  <message>
   <source>Thin bone</source>
   <translation>Dünner Knochen</translation>
  </message>
 </context>
 <context>
  <name>sections.method</name>
  <message>
   <source>A block is one within</source>
   <translation>Ein Block ist eins bis</translation>
  </message>
  <message>
   <source>A class or network of the package above</source>
   <translation>Eine Klasse oder ein Netz des Pakets über</translation>
  </message>
  <message>
   <source>Air below</source>
   <translation>Luft unter</translation>
  </message>
  <message>
   <source>All networks of a model package, three planes</source>
   <translation>Alle Netze eines Modellpakets, drei Ebenen</translation>
  </message>
  <message>
   <source>Apple graphics (MPS)</source>
   <translation>Apple-Grafik (MPS)</translation>
  </message>
  <message>
   <source>Around a place</source>
   <translation>Um eine Stelle</translation>
  </message>
  <message>
   <source>Begins at</source>
   <translation>Beginnt bei</translation>
  </message>
  <message>
   <source>Belongs to bone by</source>
   <translation>Gehört zu Knochen mit</translation>
  </message>
  <message>
   <source>Bone above</source>
   <translation>Knochen über</translation>
  </message>
  <message>
   <source>Bone has its mean above</source>
   <translation>Knochen hat seinen Mittelwert über</translation>
  </message>
  <message>
   <source>Bone has its middle above</source>
   <translation>Knochen hat seine Mitte über</translation>
  </message>
  <message>
   <source>Bridged over</source>
   <translation>Überbrückt bis</translation>
  </message>
  <message>
   <source>Certainly no bone up to</source>
   <translation>Sicher kein Knochen bis</translation>
  </message>
  <message>
   <source>Classes</source>
   <translation>Klassen</translation>
  </message>
  <message>
   <source>Cortical bone above</source>
   <translation>Kompakter Knochen über</translation>
  </message>
  <message>
   <source>Counted above</source>
   <translation>Gezählt über</translation>
  </message>
  <message>
   <source>Counted up to</source>
   <translation>Gezählt bis</translation>
  </message>
  <message>
   <source>Denoise, edges from</source>
   <translation>Entrauschen, Kanten ab</translation>
  </message>
  <message>
   <source>Edge above</source>
   <translation>Kante über</translation>
  </message>
  <message>
   <source>Edge begins above</source>
   <translation>Kante beginnt über</translation>
  </message>
  <message>
   <source>Edge goes on above</source>
   <translation>Kante setzt sich fort über</translation>
  </message>
  <message>
   <source>Edges by Canny</source>
   <translation>Kanten nach Canny</translation>
  </message>
  <message>
   <source>Edges by Sobel</source>
   <translation>Kanten nach Sobel</translation>
  </message>
  <message>
   <source>Edges closed over</source>
   <translation>Kanten geschlossen über</translation>
  </message>
  <message>
   <source>Fuzziness</source>
   <translation>Unschärfe</translation>
  </message>
  <message>
   <source>Fuzzy C-means</source>
   <translation>Unscharfe C-Means</translation>
  </message>
  <message>
   <source>Gap above</source>
   <translation>Lücke über</translation>
  </message>
  <message>
   <source>Geodesic active contour</source>
   <translation>Geodätische aktive Kontur</translation>
  </message>
  <message>
   <source>Global threshold</source>
   <translation>Globale Schwelle</translation>
  </message>
  <message>
   <source>Growing force</source>
   <translation>Wachstumskraft</translation>
  </message>
  <message>
   <source>Grown down to</source>
   <translation>Gewachsen bis</translation>
  </message>
  <message>
   <source>Half an edge at</source>
   <translation>Halbe Kante bei</translation>
  </message>
  <message>
   <source>Hysteresis threshold</source>
   <translation>Schwelle mit Hysterese</translation>
  </message>
  <message>
   <source>Image force</source>
   <translation>Bildkraft</translation>
  </message>
  <message>
   <source>Inferred wall above</source>
   <translation>Erschlossene Wand über</translation>
  </message>
  <message>
   <source>K-means</source>
   <translation>K-Means</translation>
  </message>
  <message>
   <source>Looked for around an orbit</source>
   <translation>Gesucht um eine Augenhöhle</translation>
  </message>
  <message>
   <source>Lower limit</source>
   <translation>Untere Grenze</translation>
  </message>
  <message>
   <source>Merged within</source>
   <translation>Verschmolzen bis</translation>
  </message>
  <message>
   <source>NVIDIA graphics (CUDA)</source>
   <translation>NVIDIA-Grafik (CUDA)</translation>
  </message>
  <message>
   <source>Neighbourhood</source>
   <translation>Nachbarschaft</translation>
  </message>
  <message>
   <source>Neighbours</source>
   <translation>Nachbarn</translation>
  </message>
  <message>
   <source>One network, three planes</source>
   <translation>Ein Netz, drei Ebenen</translation>
  </message>
  <message>
   <source>Orbital cavity by subtraction</source>
   <translation>Augenhöhle durch Abzug</translation>
  </message>
  <message>
   <source>Otsu's thresholds</source>
   <translation>Schwellen nach Otsu</translation>
  </message>
  <message>
   <source>Place of the wall, then evidence, 3D</source>
   <translation>Ort der Wand, dann Nachweis, 3D</translation>
  </message>
  <message>
   <source>Processor</source>
   <translation>Prozessor</translation>
  </message>
  <message>
   <source>Random field</source>
   <translation>Zufallsfeld</translation>
  </message>
  <message>
   <source>Region growing between limits</source>
   <translation>Bereichswachstum zwischen Grenzen</translation>
  </message>
  <message>
   <source>Region growing by confidence</source>
   <translation>Bereichswachstum nach Vertrauen</translation>
  </message>
  <message>
   <source>Region growing by neighbourhoods</source>
   <translation>Bereichswachstum nach Nachbarschaften</translation>
  </message>
  <message>
   <source>Rounds</source>
   <translation>Runden</translation>
  </message>
  <message>
   <source>Seeds above</source>
   <translation>Keime über</translation>
  </message>
  <message>
   <source>Segment will ask to install: {names}</source>
   <translation>Segmentieren fragt, ob installiert werden soll: {names}</translation>
  </message>
  <message>
   <source>Smoothed by</source>
   <translation>Geglättet mit</translation>
  </message>
  <message>
   <source>Smoothing force</source>
   <translation>Glättungskraft</translation>
  </message>
  <message>
   <source>Split and merge</source>
   <translation>Teilen und Verschmelzen</translation>
  </message>
  <message>
   <source>Standard deviations</source>
   <translation>Standardabweichungen</translation>
  </message>
  <message>
   <source>The best there is</source>
   <translation>Das beste vorhandene</translation>
  </message>
  <message>
   <source>Thin bone above</source>
   <translation>Dünner Knochen über</translation>
  </message>
  <message>
   <source>Threshold level set</source>
   <translation>Level-Set mit Schwellen</translation>
  </message>
  <message>
   <source>Thresholds</source>
   <translation>Schwellen</translation>
  </message>
  <message>
   <source>Two networks, three planes</source>
   <translation>Zwei Netze, drei Ebenen</translation>
  </message>
  <message>
   <source>Upper limit</source>
   <translation>Obere Grenze</translation>
  </message>
  <message>
   <source>Watershed from markers</source>
   <translation>Wasserscheide von Marken</translation>
  </message>
  <message>
   <source>Without places, above</source>
   <translation>Ohne Stellen, über</translation>
  </message>
 </context>
 <context>
  <name>sections.orbits</name>
  <message>
   <source>Left</source>
   <translation>Links</translation>
  </message>
  <message>
   <source>Right</source>
   <translation>Rechts</translation>
  </message>
  <message>
   <source>The scan has changed since: measure again.</source>
   <translation>Der Scan hat sich seitdem geändert: Messen Sie noch einmal.</translation>
  </message>
  <message>
   <source>The segments have changed since: measure again.</source>
   <translation>Die Segmente haben sich seitdem geändert: Messen Sie noch einmal.</translation>
  </message>
  <message>
   <source>{step}, {percent} %. Cancel stands in section 4.</source>
   <translation>{step}, {percent} %. Abbrechen steht in Abschnitt 4.</translation>
  </message>
 </context>
 <context>
  <name>sections.region</name>
  <message>
   <source>&amp;Box:</source>
   <translation>&amp;Kasten:</translation>
  </message>
  <message>
   <source>A box</source>
   <translation>Ein Kasten</translation>
  </message>
  <message>
   <source>Both orbits</source>
   <translation>Beide Augenhöhlen</translation>
  </message>
  <message>
   <source>Box around the turned one:</source>
   <translation>Kasten um den gedrehten:</translation>
  </message>
  <message>
   <source>Left orbit</source>
   <translation>Linke Augenhöhle</translation>
  </message>
  <message>
   <source>Right orbit</source>
   <translation>Rechte Augenhöhle</translation>
  </message>
  <message>
   <source>Whole scan</source>
   <translation>Ganzer Scan</translation>
  </message>
 </context>
 <context>
  <name>sections.review</name>
  <message>
   <source>Accepted</source>
   <translation>Angenommen</translation>
  </message>
  <message>
   <source>Accepted with edits</source>
   <translation>Mit Änderungen angenommen</translation>
  </message>
  <message>
   <source>All that can be filled in here is there.</source>
   <translation>Alles, was hier einzutragen ist, ist da.</translation>
  </message>
  <message>
   <source>Missing in it: {names}.</source>
   <translation>Darin fehlt: {names}.</translation>
  </message>
  <message>
   <source>Not reviewed yet</source>
   <translation>Noch nicht geprüft</translation>
  </message>
  <message>
   <source>Rejected</source>
   <translation>Abgelehnt</translation>
  </message>
  <message>
   <source>Still missing in the record: {names}.</source>
   <translation>Im Protokoll fehlt noch: {names}.</translation>
  </message>
  <message>
   <source>There is nothing to review yet.</source>
   <translation>Es gibt noch nichts zu prüfen.</translation>
  </message>
  <message>
   <source>Written: {name}</source>
   <translation>Geschrieben: {name}</translation>
  </message>
  <message>
   <source>slice {number} is shown</source>
   <translation>Schicht {number} wird gezeigt</translation>
  </message>
  <message>
   <source>{count} changed since they were seen</source>
   <translation>{count} seitdem geändert</translation>
  </message>
  <message>
   <source>{count} marked for correction</source>
   <translation>{count} zur Korrektur markiert</translation>
  </message>
  <message>
   <source>{seen} of {count} slices seen</source>
   <translation>{seen} von {count} Schichten gesehen</translation>
  </message>
 </context>
 <context>
  <name>sections.scan</name>
  <message>
   <source>Asked for</source>
   <translation>Gefordert</translation>
  </message>
  <message>
   <source>Condition</source>
   <translation>Bedingung</translation>
  </message>
  <message>
   <source>None is chosen</source>
   <translation>Keiner ist gewählt</translation>
  </message>
  <message>
   <source>Not checked yet.</source>
   <translation>Noch nicht geprüft.</translation>
  </message>
  <message>
   <source>Reading the scan gives no warning.</source>
   <translation>Das Lesen des Scans gibt keine Warnung.</translation>
  </message>
  <message>
   <source>Reading the scan warns:</source>
   <translation>Das Lesen des Scans warnt:</translation>
  </message>
  <message>
   <source>The scan is being read...</source>
   <translation>Der Scan wird gelesen...</translation>
  </message>
  <message>
   <source>The volume has a parent transform: it is applied to a copy before segmenting, as the views show it.</source>
   <translation>Das Volumen hat eine übergeordnete Transformation: Sie wird vor dem Segmentieren auf eine Kopie angewendet, so wie die Ansichten es zeigen.</translation>
  </message>
  <message>
   <source>Thin walls</source>
   <translation>Dünne Wände</translation>
  </message>
  <message>
   <source>This scan</source>
   <translation>Dieser Scan</translation>
  </message>
  <message>
   <source>This scan cannot be segmented.</source>
   <translation>Dieser Scan kann nicht segmentiert werden.</translation>
  </message>
  <message>
   <source>not stated</source>
   <translation>nicht angegeben</translation>
  </message>
 </context>
 <context>
  <name>sections.segment</name>
  <message>
   <source>Save the log</source>
   <translation>Das Laufprotokoll speichern</translation>
  </message>
  <message>
   <source>Stopping...</source>
   <translation>Wird angehalten...</translation>
  </message>
  <message>
   <source>Text (*.txt)</source>
   <translation>Text (*.txt)</translation>
  </message>
  <message>
   <source>Verdict: {verdict}.</source>
   <translation>Urteil: {verdict}.</translation>
  </message>
  <message>
   <source>Warnings of reading: {count}, see section 1.</source>
   <translation>Warnungen beim Lesen: {count}, siehe Abschnitt 1.</translation>
  </message>
  <message>
   <source>You edited: {names}.

Replace them by the new result? One undo in the Segment Editor brings them back. With No, the result goes into a new segmentation and yours stays as it is.</source>
   <translation>Sie haben bearbeitet: {names}.

Durch das neue Ergebnis ersetzen? Ein Rückgängig im Segment Editor bringt sie zurück. Mit Nein kommt das Ergebnis in eine neue Segmentierung, und Ihre bleibt, wie sie ist.</translation>
  </message>
  <message>
   <source>{step}, {time} left</source>
   <translation>{step}, noch {time}</translation>
  </message>
 </context>
 <context>
  <name>sections.steps</name>
  <message>
   <source>All steps are done. A physician must review the model before it is used.</source>
   <translation>Alle Schritte sind getan. Das Modell muss vor der Verwendung ärztlich geprüft werden.</translation>
  </message>
  <message>
   <source>Next: choose a CT under 1, or make a practice scan.</source>
   <translation>Weiter: Wählen Sie unter 1 ein CT, oder machen Sie einen Übungsscan.</translation>
  </message>
  <message>
   <source>Next: look at the bone and correct it (6), then export it (8). Limits (5) and volumes (7) if needed.</source>
   <translation>Weiter: Sehen Sie den Knochen an und korrigieren Sie ihn (6), dann exportieren Sie ihn (8). Grenzen (5) und Volumen (7) bei Bedarf.</translation>
  </message>
  <message>
   <source>Next: press Segment. Region (2) and method (3) may stay as they are.</source>
   <translation>Weiter: Drücken Sie Segmentieren. Bereich (2) und Verfahren (3) können so bleiben.</translation>
  </message>
  <message>
   <source>Next: review slice by slice, and write the record (9).</source>
   <translation>Weiter: Prüfen Sie Schicht für Schicht und schreiben Sie das Protokoll (9).</translation>
  </message>
 </context>
 <context>
  <name>sections.threshold</name>
  <message>
   <source>A class or network of the package above</source>
   <translation>Eine Klasse oder ein Netz des Pakets über</translation>
  </message>
  <message>
   <source>A preview, until the exact result is there: {percent} %. Cancel keeps the preview.</source>
   <translation>Eine Vorschau, bis das genaue Ergebnis da ist: {percent} %. Abbrechen behält die Vorschau.</translation>
  </message>
  <message>
   <source>A preview: specks are not cleared away, no wall is inferred anew, and nothing is shown in 3D.</source>
   <translation>Eine Vorschau: Krümel sind nicht entfernt, keine Wand ist neu erschlossen, und in 3D ist nichts zu sehen.</translation>
  </message>
  <message>
   <source>Bone above</source>
   <translation>Knochen über</translation>
  </message>
  <message>
   <source>Bone has its mean above</source>
   <translation>Knochen hat seinen Mittelwert über</translation>
  </message>
  <message>
   <source>Bone has its middle above</source>
   <translation>Knochen hat seine Mitte über</translation>
  </message>
  <message>
   <source>Cortical bone above</source>
   <translation>Kompakter Knochen über</translation>
  </message>
  <message>
   <source>Counted above</source>
   <translation>Gezählt über</translation>
  </message>
  <message>
   <source>Edge above</source>
   <translation>Kante über</translation>
  </message>
  <message>
   <source>Edge begins above</source>
   <translation>Kante beginnt über</translation>
  </message>
  <message>
   <source>Edge goes on above</source>
   <translation>Kante setzt sich fort über</translation>
  </message>
  <message>
   <source>For a result of networks: it keeps its probabilities. Thresholds have none.</source>
   <translation>Für ein Ergebnis von Netzen: Es behält seine Wahrscheinlichkeiten. Schwellen haben keine.</translation>
  </message>
  <message>
   <source>Gap above</source>
   <translation>Lücke über</translation>
  </message>
  <message>
   <source>Inferred wall above</source>
   <translation>Erschlossene Wand über</translation>
  </message>
  <message>
   <source>Limits of probability; lower finds more. The segments are what a run with these limits makes.</source>
   <translation>Grenzen der Wahrscheinlichkeit; niedriger findet mehr. Die Segmente sind das, was ein Lauf mit diesen Grenzen ergibt.</translation>
  </message>
  <message>
   <source>Seeds above</source>
   <translation>Keime über</translation>
  </message>
  <message>
   <source>Thin bone above</source>
   <translation>Dünner Knochen über</translation>
  </message>
  <message>
   <source>Without places, above</source>
   <translation>Ohne Stellen, über</translation>
  </message>
  <message>
   <source>{name} above</source>
   <translation>{name} über</translation>
  </message>
  <message>
   <source>{title} this probability, 0 to 1.</source>
   <translation>{title} dieser Wahrscheinlichkeit, 0 bis 1.</translation>
  </message>
 </context>
</TS>
